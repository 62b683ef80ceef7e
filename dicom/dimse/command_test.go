// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dimse"
)

// fixture reads annotated bytes: hexadecimal digits, '…' for text, # for comments.
func fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	var out []byte
	for line := range strings.Lines(string(b)) {
		line, _, _ = strings.Cut(line, "#")
		for i, part := range strings.Split(line, "'") {
			if i%2 == 1 {
				out = append(out, part...)
				continue
			}
			h, err := hex.DecodeString(strings.Join(strings.Fields(part), ""))
			require.NoError(t, err)
			out = append(out, h...)
		}
	}
	return out
}

var commands = map[string]dimse.Command{
	"c-store-rq.txt": {
		Field: dimse.CStoreRQ, MessageID: 7, AffectedSOPClassUID: "1.2.840.10008.5.1.4.1.1.2", DataSet: true,
		Priority: dimse.PriorityLow, AffectedSOPInstanceUID: "1.2.3.4",
		MoveOriginatorAETitle: "MOVER", MoveOriginatorMessageID: 258,
	},
	"c-get-rsp.txt": {
		Field: dimse.CGetRSP, MessageIDRespondedTo: 9, AffectedSOPClassUID: "1.2.840.10008.5.1.4.1.2.2.3",
		Status: dimse.SubOperationsIncomplete, ErrorComment: "one failed", OffendingElements: []uint32{0x00080018},
		Counts: dimse.Counts{Completed: dimse.Counted(3), Failed: dimse.Counted(1), Warning: dimse.Counted(0)},
	},
	"c-cancel-rq.txt": {Field: dimse.CCancelRQ, MessageIDRespondedTo: 9},
}

func TestCommandFixtures(t *testing.T) {
	for name, want := range commands {
		t.Run(name, func(t *testing.T) {
			b := fixture(t, name)
			got, err := dimse.DecodeCommand(b)
			require.NoError(t, err)
			require.Equal(t, want, *got)
			require.Equal(t, hex.Dump(b), hex.Dump(got.Append(nil)))
		})
	}
}

func TestCommandRefused(t *testing.T) {
	good := fixture(t, "c-store-rq.txt")
	for name, tc := range map[string]struct {
		bytes []byte
		text  string
	}{
		"empty":            {nil, "no Command Field"},
		"header cut short": {good[:15], "ends inside the header"},
		"value cut short":  {good[:len(good)-1], "where 1 are left"},
		"4 GB":             {[]byte{0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF}, "4294967295 bytes where 0 are left"},
		"another group":    {[]byte{8, 0, 0x18, 0, 0, 0, 0, 0}, "no Command Field"},
		"one-byte number":  {[]byte{0, 0, 0, 1, 1, 0, 0, 0, 1}, "1 bytes instead of 2"},
		"empty status":     {[]byte{0, 0, 0, 9, 0, 0, 0, 0}, "0 bytes instead of 2"},
		"no command field": {[]byte{0, 0, 0x10, 1, 2, 0, 0, 0, 1, 0}, "no Command Field"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := dimse.DecodeCommand(tc.bytes)
			require.ErrorContains(t, err, tc.text)
		})
	}
}

// FuzzCommand: what decodes encodes, and decodes to the same again.
func FuzzCommand(f *testing.F) {
	for name := range commands {
		f.Add(fixture(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := dimse.DecodeCommand(b)
		if err != nil {
			return
		}
		again := c.Append(nil)
		d, err := dimse.DecodeCommand(again)
		require.NoError(t, err)
		require.Equal(t, again, d.Append(nil))
	})
}

// TestStatuses: what follows from each status that the specification names, and from unknown ones by their class.
func TestStatuses(t *testing.T) {
	for _, tc := range []struct {
		service dimse.Service
		status  dimse.Status
		want    dimse.Outcome
	}{
		{dimse.CStore, 0x0000, dimse.Done},
		{dimse.CStore, 0xB000, dimse.DoneNoted},
		{dimse.CStore, 0xB006, dimse.DoneNoted},
		{dimse.CStore, 0xB007, dimse.DoneNoted},
		{dimse.CStore, 0xB123, dimse.DoneNoted},
		{dimse.CStore, 0x0001, dimse.DoneNoted},
		{dimse.CStore, 0x0111, dimse.AlreadyThere},
		{dimse.CStore, 0xA700, dimse.BackOff},
		{dimse.CStore, 0xA7FF, dimse.BackOff},
		{dimse.CStore, 0x0213, dimse.BackOff},
		{dimse.CStore, 0x0122, dimse.Permanent},
		{dimse.CStore, 0x0124, dimse.Permanent},
		{dimse.CStore, 0x0117, dimse.Permanent},
		{dimse.CStore, 0xA900, dimse.Permanent},
		{dimse.CStore, 0xC123, dimse.Permanent},
		{dimse.CStore, 0x0110, dimse.Failed},
		{dimse.CStore, 0xA123, dimse.Failed},
		{dimse.CStore, 0xD000, dimse.Failed},
		{dimse.CFind, 0x0000, dimse.Done},
		{dimse.CFind, 0xFF00, dimse.More},
		{dimse.CFind, 0xFF01, dimse.More},
		{dimse.CFind, 0xFE00, dimse.Stopped},
		{dimse.CFind, 0xA700, dimse.BackOff},
		{dimse.CFind, 0xA900, dimse.Permanent},
		{dimse.CFind, 0xC001, dimse.Failed},
		{dimse.CFind, 0x0122, dimse.Configure},
		{dimse.CFind, 0x0124, dimse.Configure},
		{dimse.CGet, 0x0000, dimse.Done},
		{dimse.CGet, 0xB000, dimse.Incomplete},
		{dimse.CGet, 0xB001, dimse.Incomplete},
		{dimse.CGet, 0xA701, dimse.BackOff},
		{dimse.CGet, 0xA702, dimse.BackOff},
		{dimse.CGet, 0xFE00, dimse.Stopped},
		{dimse.CGet, 0xC000, dimse.Failed},
		{dimse.CMove, 0xA801, dimse.Configure},
		{dimse.CMove, 0xFF00, dimse.More},
		{dimse.CEcho, 0x0000, dimse.Done},
		{dimse.CEcho, 0x0211, dimse.Configure},
	} {
		m := tc.status.Meaning(tc.service)
		require.Equal(t, tc.want, m.Outcome, "%s %s: %s", tc.service, tc.status, m.Text)
		require.NotEmpty(t, m.Text)
	}
	require.EqualError(t, &dimse.StatusError{Service: dimse.CMove, Status: 0xA801, ErrorComment: "Doe^John"},
		"C-MOVE was answered with status A801H: move destination unknown; ask the administrator of that server to add this AE title with this host's address and port")
}
