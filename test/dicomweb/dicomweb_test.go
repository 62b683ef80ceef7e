// SPDX-License-Identifier: AGPL-3.0-or-later

// Package dicomweb tests the proxy for DICOMweb with the clients that people use.
package dicomweb

import (
	"testing"

	"github.com/adit-go/adit/cli"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/process"
)

func TestMain(m *testing.M) { process.Main(m, cli.Main) }

// TestPython: the original's Python client, and the one that it stands on, find and get through ADIT what servers have,
// whatever those speak.
func TestPython(t *testing.T) {
	python := testpeer.Python(t, "dicomweb")
	servers := []string{dcmtk, orthanc, orthancWeb}
	w := newWorld(t, servers)
	w.addPoor(t, servers...)
	for _, name := range servers {
		for _, script := range []string{"adit.py", "web.py"} {
			t.Run(script+" "+name, func(t *testing.T) { run(t, w.task(t, name), python, script) })
		}
	}
}
