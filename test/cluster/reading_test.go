// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package cluster

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/web/media"
	"github.com/adit-go/adit/dicom/web/multipart"
)

// TestClusterReads: a series that somebody reads by DICOMweb is fetched once, whichever members are asked for it and by
// whatever means; if the member that has it is gone, another one fetches it.
func TestClusterReads(t *testing.T) {
	c := newCluster(t, 3, options{seed: 6})
	studies := newStudies(2600, 2, 3, 5)
	get := c.newPACS(pacs.Config{AETitle: "GET", Studies: studies[:1]})
	move := c.newPACS(pacs.Config{AETitle: "MOVE", Studies: studies[1:]})
	c.addServer("GET", get.Addr(), byGet, nil)
	c.addServer("MOVE", move.Addr(), byMove, nil)
	await(t, "members that know each other", func() bool {
		return one[int](c, `SELECT count(*) FROM members WHERE ended = ''`) == 3
	})
	for i, title := range []string{"GET", "MOVE"} {
		var all sync.WaitGroup
		counts := make([]int, 9)
		for n := range counts {
			all.Go(func() { counts[n] = c.read(c.members[n%3], title, studies[i].StudyInstanceUID) })
		}
		all.Wait()
		for _, n := range counts {
			require.Equal(t, 15, n)
		}
	}
	require.Len(t, get.Recorder().Log().Gets, 3)
	require.Len(t, move.Recorder().Log().Moves, 3)
	require.Positive(t, c.members[0].metric("adit_series_read_total", `from="member"`)+
		c.members[1].metric("adit_series_read_total", `from="member"`)+
		c.members[2].metric("adit_series_read_total", `from="member"`))

	for _, m := range c.members[1:] {
		m.kill()
	}
	require.Equal(t, 15, c.read(c.members[0], "GET", studies[0].StudyInstanceUID))
}

// read retrieves a study from a member, and returns how many objects came.
func (c *cluster) read(m *member, title, study string) (n int) {
	rq, err := http.NewRequestWithContext(
		c.t.Context(), http.MethodGet, m.URL+"/dicom-web/"+title+"/studies/"+study, http.NoBody,
	)
	if err != nil {
		c.t.Error(err)
		return 0
	}
	rq.Header.Set("Authorization", "Token "+c.token)
	got, err := (&http.Client{Timeout: deadline}).Do(rq)
	if err != nil {
		c.t.Error(err)
		return 0
	}
	defer func() { _ = got.Body.Close() }()
	body, err := io.ReadAll(got.Body)
	kind, kindErr := media.Parse(got.Header.Get("Content-Type"))
	if err != nil || kindErr != nil || got.StatusCode != http.StatusOK {
		c.t.Errorf("status %d, %v: %.200s", got.StatusCode, err, body)
		return 0
	}
	parts, err := multipart.NewReader(bytes.NewReader(body), kind.Param("boundary"), multipart.Limits{})
	if err != nil {
		c.t.Error(err)
		return 0
	}
	for {
		if _, err := parts.Next(); errors.Is(err, io.EOF) {
			return n
		} else if err != nil {
			c.t.Error(err)
			return n
		}
		n++
	}
}
