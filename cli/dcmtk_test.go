// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/cli/scu"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/phantom"
	enginesource "github.com/adit-go/adit/engine/source"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/process"
)

func runAdit(t testing.TB, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), append([]string{"adit"}, args...), command.Streams{Out: &out, Err: &errs})
	return out.String(), errs.String(), code
}

// The tools against DCMTK's: what is stored and retrieved again is the same, byte for byte.
func TestToolsWithDCMTK(t *testing.T) {
	study := phantom.DemoStudies()[11]
	sent, received, archive, got := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	paths, err := study.WriteFiles(sent)
	require.NoError(t, err)

	scp := testpeer.StoreSCP(t, []string{testpeer.NoDelay}, received)
	out, errs, code := runAdit(t, "store", "127.0.0.1", strconv.Itoa(scp.Port), "-aec", "STORESCP", sent)
	require.Equal(t, 0, code, out+errs)
	files, err := os.ReadDir(received)
	require.NoError(t, err)
	require.Len(t, files, len(paths))

	qr := testpeer.DcmQRSCP(t, []string{testpeer.NoDelay}, archive)
	port := strconv.Itoa(qr.Port)
	out, errs, code = runAdit(t, "echo", "127.0.0.1", port, "-aec", "QRSCP")
	require.Equal(t, 0, code, out+errs)
	out, errs, code = runAdit(t, "store", "127.0.0.1", port, "-aec", "QRSCP", sent)
	require.Equal(t, 0, code, out+errs)
	out, errs, code = runAdit(
		t, "find", "127.0.0.1", port, "-aec", "QRSCP", "-k",
		"PatientID="+study.Spec.Patient.ID, "-k", "StudyInstanceUID",
	)
	require.Equal(t, 0, code, out+errs)
	require.Contains(t, out, study.StudyInstanceUID)
	out, errs, code = runAdit(
		t, "get", "127.0.0.1", port, "-aec", "QRSCP", "-k", "StudyInstanceUID="+study.StudyInstanceUID, "-od", got,
	)
	require.Equal(t, 0, code, out+errs)
	for _, path := range paths {
		_, err := os.Stat(filepath.Join(got, filepath.Base(path)))
		require.NoError(t, err)
	}
}

// The tools over TLS.
func TestToolsOverTLS(t *testing.T) {
	ca := testpeer.NewAuthority(t)
	ours, theirs := ca.Issue(t, "adit.example"), ca.Issue(t, "localhost")
	sent, received := t.TempDir(), t.TempDir()
	paths, err := phantom.DemoStudies()[11].WriteFiles(sent)
	require.NoError(t, err)
	scp := testpeer.StoreSCP(t, []string{testpeer.NoDelay}, received, ca.DCMTK(theirs, "--fork")...)
	port := strconv.Itoa(scp.Port)
	own := []string{"--tls", "--tls-ca", ca.File, "--tls-cert", ours.CertificateFile, "--tls-key", ours.KeyFile}
	out, errs, code := runAdit(t, append([]string{"echo", "127.0.0.1", port, "-aec", "STORESCP"}, own...)...)
	require.Equal(t, 0, code, out+errs)
	out, errs, code = runAdit(t, append([]string{"store", "127.0.0.1", port, "-aec", "STORESCP", sent}, own...)...)
	require.Equal(t, 0, code, out+errs)
	files, err := os.ReadDir(received)
	require.NoError(t, err)
	require.Len(t, files, len(paths))
	for words, args := range map[string][]string{
		"which is not trusted here": {"--tls"},
		// Its reason may be lost when it closes the connection at once.
		"with its key, signed by an authority": {"--tls", "--tls-ca", ca.File},
		"whether it expects TLS":               nil,
		"not for other.example; check":         append([]string{"--tls-server-name", "other.example"}, own...),
		"the key without a password":           {"--tls", "--tls-cert", ours.CertificateFile},
		"TLS is only used with --tls; add it":  {"--tls-ca", ca.File},
	} {
		_, errs, code = runAdit(t, append([]string{"echo", "127.0.0.1", port}, args...)...)
		require.NotEqual(t, 0, code)
		require.Contains(t, errs, words)
	}
	_, errs, code = runAdit(t, append(
		[]string{"echo", "127.0.0.1", port, "--tls-server-name", "other.example", "--tls-verify", "authority"}, own...,
	)...)
	require.Equal(t, 0, code, errs)
}

// DCMTK's tools against ADIT's receiver: who isn't known is rejected; C-ECHO is answered, objects that nobody asked for
// are refused for good.
func TestListenerWithDCMTK(t *testing.T) {
	study := phantom.DemoStudies()[11]
	dir := t.TempDir()
	paths, err := study.WriteFiles(dir)
	require.NoError(t, err)
	s := process.Serve(t, filepath.Join(t.TempDir(), "data"))
	m := process.DICOMLine.FindStringSubmatch(s.Banner)
	require.NotNil(t, m)
	text, exit := testpeer.Run(t, nil, "echoscu", "-aec", "ADIT", "127.0.0.1", m[1])
	require.NotEqual(t, 0, exit, "its AE title is unknown yet")
	require.Contains(t, text, "Calling AE Title Not Recognized")
	text, exit = s.Adit(
		"node", "add", "server", "dcmtk", "--ae-title", "ECHOSCU", "--other-ae-titles",
		"STORESCU", "--host", "127.0.0.1", "--port", "104", "--supports", "store",
	)
	require.Equal(t, 0, exit, text)
	text, exit = testpeer.Run(t, nil, "echoscu", "-aec", "ADIT", "127.0.0.1", m[1])
	require.Equal(t, 0, exit, text)
	text, _ = testpeer.Run(t, nil, "storescu", "-v", "-aec", "ADIT", "127.0.0.1", m[1], paths[0])
	require.Contains(t, text, "Unknown Status: 0x124")
}

// TestEveryClassIsProposed: each transfer syntax in a context of its own, so that the server can't choose to convert.
// Of classes that are known, all go over the first association.
func TestEveryClassIsProposed(t *testing.T) {
	many := []string{
		dict.CTImageStorage, dict.MRImageStorage, "2.25.4711",
		dict.CTImageStorage, dict.BasicTextSRStorage, dict.RTDoseStorage,
	}
	for _, c := range []struct{ known, want, first []string }{
		{nil, dict.StorageClasses(false), scu.UsualClasses},
		{many[:1], many[:1], many[:1]},
		{many, append(slices.Clone(many[:3]), many[4:]...), many},
	} {
		for _, all := range []bool{false, true} {
			proposed, first := map[string][]string{}, map[string]bool{}
			for i, contexts := range scu.Storage(c.known, all) {
				require.LessOrEqual(t, len(contexts), scu.MaxProposed)
				for _, context := range contexts {
					require.Len(t, context.TransferSyntaxes, 1)
					proposed[context.AbstractSyntax] = append(
						proposed[context.AbstractSyntax], context.TransferSyntaxes...,
					)
					if i == 0 {
						first[context.AbstractSyntax] = true
					}
				}
			}
			require.ElementsMatch(t, c.want, slices.Collect(maps.Keys(proposed)))
			for class, syntaxes := range proposed {
				require.Equal(t, enginesource.TransferSyntaxesOf(class, all), syntaxes, class)
			}
			for _, class := range c.first {
				require.True(t, first[class] || all && c.known == nil, class)
			}
		}
	}
}
