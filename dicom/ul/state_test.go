// SPDX-License-Identifier: AGPL-3.0-or-later

package ul

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestStateTable compares the machine, cell by cell, with table 9-10 and the next states of tables 9-6 to 9-9 as
// they are written in testdata.
func TestStateTable(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "table-9-10.txt"))
	require.NoError(t, err)
	event := Evt1
	for line := range strings.Lines(string(b)) {
		line, _, _ = strings.Cut(line, "#")
		cells := strings.Fields(line)
		if len(cells) == 0 {
			continue
		}
		require.Len(t, cells, int(Sta13)+1, line)
		require.Equal(t, fmt.Sprintf("Evt%d", event), cells[0])
		for state := Sta1; state <= Sta13; state++ {
			want := cells[state]
			for _, acceptor := range []bool{false, true} {
				m := machine{state, acceptor}
				action := m.step(event)
				got := "."
				if action != None {
					next := m.state
					if action == AR8 { // the table gives both roles
						require.Equal(t, acceptor, next == Sta10)
						got = "AR-8/9,10"
					} else {
						got = fmt.Sprintf("%s/%d", action, int(next))
					}
				} else {
					require.Equal(t, state, m.state)
				}
				require.Equal(t, want, got, "%s in %s", event, state)
			}
		}
		event++
	}
	require.Equal(t, Evt19+1, event)
}

func TestEventOf(t *testing.T) {
	want := map[PDUType]Event{
		TypeAssociateRQ: Evt6, TypeAssociateAC: Evt3, TypeAssociateRJ: Evt4, TypePDataTF: Evt10,
		TypeReleaseRQ: Evt12, TypeReleaseRP: Evt13, TypeAbort: Evt16,
	}
	for b := range 256 {
		e, known := want[PDUType(b)]
		if !known {
			e = Evt19
		}
		require.Equal(t, e, eventOf(PDUType(b)))
	}
}
