// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse_test

import (
	"bytes"
	"fmt"
	"net"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/internal/testpeer"
)

// BenchmarkDCMTK measures against DCMTK with Nagle's algorithm on and off: our SCU with storescp (which ignores what
// it gets), storescu with our SCP. Without TCP_QUICKACK "Nagle on" takes 40 ms per instance.
func BenchmarkDCMTK(b *testing.B) {
	_, object := object(b, 1, 512<<10)
	for _, env := range [][]string{{testpeer.NoDelay}, {}} {
		name := "NagleOff"
		if len(env) == 0 {
			name = "NagleOn"
		}
		b.Run("storescp/"+name, func(b *testing.B) {
			p := testpeer.StoreSCP(b, env, b.TempDir(), "--ignore")
			a := dial(b, p.Addr)
			b.SetBytes(int64(len(object)))
			for b.Loop() {
				rsp, err := a.Store(b.Context(), ctRequest(1), bytes.NewReader(object))
				require.NoError(b, err)
				require.Equal(b, dimse.Success, rsp.Status)
			}
		})
		b.Run("storescu/"+name, func(b *testing.B) {
			const repeat = 200
			host, port, err := net.SplitHostPort(serve(b, &dimse.Server{Choose: chooseExplicit, Store: discard}))
			require.NoError(b, err)
			file := filepath.Join(b.TempDir(), "1")
			writeFile(b, file, "1.2.3", object)
			b.SetBytes(int64(len(object)) * repeat)
			for b.Loop() {
				out, exit := testpeer.Run(b, env, "storescu", "--repeat", fmt.Sprint(repeat), host, port, file)
				require.Zero(b, exit, out)
			}
		})
	}
}
