// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dimse"
)

// TestFailedListInCommand decodes the final response of Orthanc 1.10.1 to a C-GET of one image that it can't send: the
// list of what failed is in the command set.
func TestFailedListInCommand(t *testing.T) {
	command := "\x00\x00\x00\x00\x04\x00\x00\x00\x6a\x00\x00\x00" +
		"\x00\x00\x02\x00\x1c\x00\x00\x001.2.840.10008.5.1.4.1.2.2.3\x00" +
		"\x00\x00\x00\x01\x02\x00\x00\x00\x10\x80" +
		"\x00\x00\x20\x01\x02\x00\x00\x00\x01\x00" +
		"\x00\x00\x00\x08\x02\x00\x00\x00\x01\x01" +
		"\x00\x00\x00\x09\x02\x00\x00\x00\x00\xc0" +
		"\x00\x00\x21\x10\x02\x00\x00\x00\x00\x00" +
		"\x00\x00\x22\x10\x02\x00\x00\x00\x01\x00" +
		"\x00\x00\x23\x10\x02\x00\x00\x00\x00\x00" +
		"\x08\x00\x00\x00\x04\x00\x00\x00\x14\x00\x00\x00" +
		"\x08\x00\x58\x00\x0c\x00\x00\x002.25.4711.1\x00"
	c, err := dimse.DecodeCommand([]byte(command))
	require.NoError(t, err)
	require.Equal(t, &dimse.Command{
		Field: dimse.CGetRSP, MessageIDRespondedTo: 1,
		AffectedSOPClassUID: "1.2.840.10008.5.1.4.1.2.2.3", Status: 0xC000,
		Counts: dimse.Counts{Completed: dimse.Counted(0), Failed: dimse.Counted(1), Warning: dimse.Counted(0)},
	}, c)
}
