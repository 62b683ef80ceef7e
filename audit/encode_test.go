// SPDX-License-Identifier: AGPL-3.0-or-later

package audit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
)

// TestEncode holds the encoding that is hashed: chains that were sealed years ago must still be verified.
func TestEncode(t *testing.T) {
	row := db.Audit{
		ID: 9, At: time.Date(2026, 11, 23, 20, 57, 49, 123456000, time.UTC),
		UserID: 4, Username: "jürgen", Via: ViaToken, Peer: "192.0.2.7",
		Action: "task.transfer", Object: "task 12", PatientID: "P-1",
		StudyUid: "1.2.3", Source: "PACS1", Destination: "Research",
		Profile: "default 1", ProfileSha256: "ab", Detail: `{"a":"1:2,"}`,
	}
	before := Head{Seq: 6}
	before.Hash[0], before.Hash[31] = 0xfe, 0x01
	require.Equal(t,
		"12:adit audit 1,1:7,1:9,16:1795467469123456,1:4,7:jürgen,5:token,9:192.0.2.7,13:task.transfer,7:task 12,3:P-1,5:1.2.3,5:PACS1,"+
			"8:Research,9:default 1,2:ab,12:{\"a\":\"1:2,\"},64:fe00000000000000000000000000000000000000000000000000000000000001,",
		string(encode(row, 7, before.Hash)),
	)

	next := before.next(row)
	require.Equal(t, "7:5c9bb67f07608a53bc4ea8386da486b6e21c1d53055b382faaf25400b1264e02", next.String())
	again, err := ParseHead(next.String())
	require.NoError(t, err)
	require.Equal(t, next, again)

	moved := row
	moved.Source, moved.Destination = "PACS1R", "esearch" // the same bytes, parted elsewhere
	require.NotEqual(t, next, before.next(moved))
	for _, bad := range []string{
		"", "7", "7:", "x:" + next.String()[2:], next.String() + "00", "-1" + next.String()[1:], "7:zz",
	} {
		_, err := ParseHead(bad)
		require.ErrorContains(t, err, "NUMBER:HASH", bad)
	}
}
