// SPDX-License-Identifier: AGPL-3.0-or-later

package dicomweb

import (
	"bytes"
	"image"
	_ "image/jpeg"
	_ "image/png"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/server"
	"github.com/adit-go/adit/test/process"
)

// TestPictures: viewers get pictures of what a PACS has that knows DIMSE alone, in the forms in which they ask for
// them.
func TestPictures(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := process.ServePhantoms(t, dir, "--database-url", dbtest.URL(t))
	token, err := os.ReadFile(filepath.Join(dir, server.TokenFile))
	require.NoError(t, err)
	study := phantom.DemoStudies()[0]
	series := study.Series[0]
	at := "/dicom-web/PACS_A/studies/" + study.StudyInstanceUID
	ofSeries := at + "/series/" + series.SeriesInstanceUID
	one := ofSeries + "/instances/" + series.Instances[0].SOPInstanceUID
	rows, columns := 512, 512
	for _, c := range []struct {
		path, accept  string
		status        int
		kind          string
		width, height int
	}{
		{one + "/rendered", "image/jpeg", 200, "image/jpeg", columns, rows},
		{one + "/rendered", "image/png", 200, "image/png", columns, rows},
		{one + "/rendered", "*/*", 200, "image/jpeg", columns, rows},
		{one + "/rendered", "", 200, "image/jpeg", columns, rows},
		{one + "/rendered?viewport=256,256", "image/jpeg", 200, "image/jpeg", 256, 256},
		{one + "/rendered?window=40,400,LINEAR&quality=50", "image/*", 200, "image/jpeg", columns, rows},
		{one + "/rendered?pseudonym=P1", "image/png", 200, "image/png", columns, rows},
		{one + "/frames/1/rendered", "image/png", 200, "image/png", columns, rows},
		{one + "/thumbnail?accept=image%2Fjpeg", `multipart/related; type="application/octet-stream"`, 200, "image/jpeg", 128, 128},
		{one + "/thumbnail?viewport=64,64", "image/png", 200, "image/png", 64, 64},
		{ofSeries + "/thumbnail", "image/jpeg", 200, "image/jpeg", 128, 128},
		{at + "/thumbnail", "image/jpeg", 200, "image/jpeg", 128, 128},
		{one + "/frames/2/rendered", "image/png", 404, "", 0, 0},
		{one + "/frames/1,2/rendered", "image/png", 400, "", 0, 0},
		{one + "/rendered", "image/gif", 406, "", 0, 0},
		{one + "/rendered?window=x", "image/png", 400, "", 0, 0},
		{one + "/rendered?viewport=1", "image/png", 400, "", 0, 0},
		{one + "/rendered?quality=1000", "image/jpeg", 400, "", 0, 0},
	} {
		rq, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+c.path, http.NoBody)
		require.NoError(t, err)
		rq.Header.Set("Authorization", "Token "+strings.TrimSpace(string(token)))
		rq.Header.Set("Accept", c.accept)
		got, err := (&http.Client{Timeout: process.Deadline}).Do(rq)
		require.NoError(t, err)
		body, err := io.ReadAll(got.Body)
		_ = got.Body.Close()
		require.NoError(t, err)
		require.Equal(t, c.status, got.StatusCode, "%s %s: %.300q", c.path, c.accept, body)
		if c.status != http.StatusOK {
			continue
		}
		require.Equal(t, c.kind, got.Header.Get("Content-Type"), c.path)
		picture, _, err := image.Decode(bytes.NewReader(body))
		require.NoError(t, err)
		require.Equal(t, image.Pt(c.width, c.height), picture.Bounds().Size(), c.path)
	}
}
