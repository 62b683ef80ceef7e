// SPDX-License-Identifier: AGPL-3.0-or-later

package dicomweb

import (
	"context"
	"errors"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/internal/refusal"
)

// FuzzQuery: whatever stands in an address is read, or refused in a sentence that repeats no value.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{
		"PatientName=*appl*&ModalitiesInStudy=CT,MR&StudyDate=20240101-20240131&limit=101&offset=0&fuzzymatching=false" +
			"&includefield=00081030%2C00080060",
		"0020000D=1.2%5C1.3", "limit=-1", "includefield=all&includefield=", "00080018=1.x", "=", "PatientID=a%5Cb",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		values, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		q, err := readQuery(values)
		if err != nil {
			_, refused := errors.AsType[*refusal.Invalid](err)
			require.True(t, refused, "%v", err)
			return
		}
		require.GreaterOrEqual(t, q.limit, 0)
		require.GreaterOrEqual(t, q.offset, 0)
		_, err = q.search.Match.Encode(dict.ExplicitVRLittleEndian)
		require.NoError(t, err)
	})
}

// TestLists: requests for the same share one search, which is kept for the next page; one that nobody waits for any
// more ends, and one that failed is not kept.
func TestLists(t *testing.T) {
	l := newLists()
	begun, release := make(chan struct{}, 2), make(chan struct{})
	find := func(ctx context.Context) (list, error) {
		begun <- struct{}{}
		select {
		case <-release:
			return list{rows: [][]byte{[]byte("{}")}, bytes: 2}, nil
		case <-ctx.Done():
			return list{}, ctx.Err()
		}
	}
	one, cancel := context.WithCancel(t.Context())
	first, second := l.get(one, "a", find), l.get(t.Context(), "a", find)
	<-begun
	cancel() // of one of two
	require.ErrorIs(t, (<-first).err, context.Canceled)
	close(release)
	require.Len(t, (<-second).rows, 1)
	require.Len(t, (<-l.get(t.Context(), "a", func(context.Context) (list, error) {
		return list{}, errors.New("it was not kept")
	})).rows, 1)

	ended := make(chan struct{})
	alone, leave := context.WithCancel(t.Context())
	got := l.get(alone, "b", func(ctx context.Context) (list, error) {
		begun <- struct{}{}
		<-ctx.Done()
		close(ended)
		return list{}, ctx.Err()
	})
	<-begun
	leave()
	require.ErrorIs(t, (<-got).err, context.Canceled)
	<-ended

	failed := errors.New("the server is away")
	fails := func(context.Context) (list, error) { return list{}, failed }
	require.ErrorIs(t, (<-l.get(t.Context(), "c", fails)).err, failed)
	require.NoError(t, (<-l.get(t.Context(), "c", func(context.Context) (list, error) { return list{}, nil })).err)
}
