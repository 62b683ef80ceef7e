// SPDX-License-Identifier: AGPL-3.0-or-later

package stream

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadFileMeta(t *testing.T) {
	meta := FileMeta{
		MediaStorageSOPClassUID:    "1.2.840.10008.5.1.4.1.1.2",
		MediaStorageSOPInstanceUID: "1.2.3", TransferSyntaxUID: "1.2.840.10008.1.2.1",
	}
	file := meta.AppendTo(nil)
	for range 2 { // the second time with memory of the first
		got, err := ReadFileMeta(bytes.NewReader(append(bytes.Clone(file), "anything"...)))
		require.NoError(t, err)
		require.Equal(t, meta, got)
	}
	_, err := ReadFileMeta(bytes.NewReader(file[:200]))
	require.ErrorContains(t, err, "truncated")
	_, err = ReadFileMeta(bytes.NewReader(make([]byte, 400)))
	require.ErrorIs(t, err, ErrNotPart10)
}
