// SPDX-License-Identifier: AGPL-3.0-or-later

package server

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDemoHasADataDirOfItsOwn: a demo and a real server never share one, whichever was there first.
func TestDemoHasADataDirOfItsOwn(t *testing.T) {
	for name, starts := range map[string][]struct {
		demo    bool
		refused string
	}{
		"a demo, again":             {{demo: true}, {demo: true}},
		"a real server, again":      {{demo: false}, {demo: false}},
		"a real server in a demo's": {{demo: true}, {demo: false, refused: "holds a demo"}, {demo: true}},
		"a demo in a real server's": {{demo: false}, {demo: true, refused: "belongs to a real server"}, {demo: false}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, s := range starts {
				err := checkDemoDir(dir, s.demo)
				if s.refused != "" {
					require.ErrorContains(t, err, s.refused)
					require.ErrorContains(t, err, "--data-dir")
					continue
				}
				require.NoError(t, err)
				_, err = dataDirID(dir)
				require.NoError(t, err)
			}
		})
	}
}
