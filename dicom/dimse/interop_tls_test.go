// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/internal/testpeer"
)

// tlsProfiles are ours with DCMTK's of the same name.
var tlsProfiles = map[string]struct {
	ours   ul.TLSProfile
	theirs string
}{
	"BCP 195 RFC 9325": {ul.ProfileBCP195RFC9325, "+py"},
	"BCP 195":          {ul.ProfileBCP195, "+px"},
	"BCP 195 and AES":  {ul.ProfileBCP195, "+pa"}, // a peer of the times before BCP 195: CBC, RSA key exchange
}

func secured(o ul.TLSOptions, ca *testpeer.Authority, own *testpeer.Identity) ul.TLSOptions {
	o.Authorities = ca.PEM
	if own != nil {
		o.Certificate, o.Key = own.Certificate, own.Key
	}
	return o
}

func dialTLS(t *testing.T, addr string, o ul.TLSOptions) (*dimse.Association, error) {
	t.Helper()
	cfg := config(addr)
	var err error
	cfg.TLS, err = ul.ClientTLS(o)
	require.NoError(t, err)
	a, err := dimse.Dial(t.Context(), cfg)
	if err == nil {
		t.Cleanup(a.Abort)
	}
	return a, err
}

// TestTLSToDCMTK: our SCU with storescp and dcmrecv over TLS; both sides have a certificate and look at the other's.
func TestTLSToDCMTK(t *testing.T) {
	ca := testpeer.NewAuthority(t)
	ours, theirs, stranger := ca.Issue(t, "localhost"), ca.Issue(t, "localhost"), ca.Issue(t, "elsewhere.example")
	all := objects(t)
	nagle(t, func(t *testing.T, env []string) {
		for name, p := range tlsProfiles {
			t.Run("storescp "+name, func(t *testing.T) {
				dir := t.TempDir()
				peer := testpeer.StoreSCP(t, env, dir, ca.DCMTK(theirs, p.theirs)...)
				a, err := dialTLS(t, peer.Addr, secured(ul.TLSOptions{Profile: p.ours}, ca, ours))
				require.NoError(t, err)
				require.NoError(t, a.Echo(t.Context()))
				sendAll(t, a, all)
				require.NoError(t, a.Release(t.Context()))
				requireBytes(t, all, dataSets(t, dir))
			})
		}
	})
	t.Run("dcmrecv", func(t *testing.T) {
		dir := t.TempDir()
		peer := testpeer.DcmRecv(t, nil, dir, ca.DCMTK(theirs)...)
		a, err := dialTLS(t, peer.Addr, secured(ul.TLSOptions{}, ca, ours))
		require.NoError(t, err)
		sendAll(t, a, all)
		require.NoError(t, a.Release(t.Context()))
		requireBytes(t, all, dataSets(t, dir))
	})
	t.Run("another name", func(t *testing.T) {
		peer := testpeer.StoreSCP(t, nil, t.TempDir(), ca.DCMTK(stranger)...)
		_, err := dialTLS(t, peer.Addr, secured(ul.TLSOptions{}, ca, ours))
		require.ErrorContains(t, err, "the TLS handshake failed")
		require.ErrorContains(
			t, err,
			"its certificate is for elsewhere.example, not for 127.0.0.1; check the host, or set the expected server name",
		)
		for _, o := range []ul.TLSOptions{
			{ServerName: "elsewhere.example"}, {Verification: ul.VerifyAuthority}, {Verification: ul.VerifyNothing},
		} {
			a, err := dialTLS(t, peer.Addr, secured(o, ca, ours))
			require.NoError(t, err)
			require.NoError(t, a.Echo(t.Context()))
			require.NoError(t, a.Release(t.Context()))
		}
	})
	t.Run("another authority", func(t *testing.T) {
		other := testpeer.NewAuthority(t)
		peer := testpeer.StoreSCP(t, nil, t.TempDir(), ca.DCMTK(theirs)...)
		for _, v := range []ul.PeerVerification{ul.VerifyPeer, ul.VerifyAuthority} {
			_, err := dialTLS(t, peer.Addr, secured(ul.TLSOptions{Verification: v}, other, ours))
			require.ErrorContains(t, err, "the TLS handshake failed")
		}
	})
	t.Run("without a certificate", func(t *testing.T) {
		peer := testpeer.StoreSCP(t, nil, t.TempDir(), ca.DCMTK(theirs)...)
		_, err := dialTLS(t, peer.Addr, secured(ul.TLSOptions{}, ca, nil))
		require.ErrorContains(t, err, "certificate")
		require.ErrorAs(t, err, new(*ul.ConnectError))
	})
	t.Run("no TLS there", func(t *testing.T) {
		peer := testpeer.StoreSCP(t, nil, t.TempDir())
		_, err := dialTLS(t, peer.Addr, secured(ul.TLSOptions{}, ca, ours))
		require.ErrorAs(t, err, new(*ul.ConnectError))
	})
	t.Run("profiles apart", func(t *testing.T) {
		peer := testpeer.StoreSCP(t, nil, t.TempDir(), ca.DCMTK(theirs, "+pa")...)
		_, err := dialTLS(t, peer.Addr, secured(ul.TLSOptions{}, ca, ours))
		require.ErrorContains(t, err, "the TLS handshake failed", "CBC only when the older profile is configured")
	})
}

// TestTLSFromDCMTK: DCMTK's tools with our server over TLS.
func TestTLSFromDCMTK(t *testing.T) {
	ca := testpeer.NewAuthority(t)
	ours, theirs := ca.Issue(t, "localhost"), ca.Issue(t, "localhost")
	all := objects(t)
	nagle(t, func(t *testing.T, env []string) {
		for name, p := range tlsProfiles {
			t.Run(name, func(t *testing.T) {
				var got store
				cfg, err := ul.ServerTLS(secured(ul.TLSOptions{Profile: p.ours}, ca, ours))
				require.NoError(t, err)
				host, port, err := net.SplitHostPort(serve(t, &dimse.Server{
					TLS: cfg, Choose: chooseExplicit, Store: got.handle, Find: matches(3),
				}))
				require.NoError(t, err)
				secure := ca.DCMTK(theirs, p.theirs)
				out, exit := testpeer.Run(t, env, "echoscu", append(secure, host, port)...)
				require.Zero(t, exit, out)
				out, exit = testpeer.Run(t, env, "findscu", append(
					secure, "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID", host, port,
				)...)
				require.Zero(t, exit, out)
				require.Contains(t, out, "1.2.2")
				out, exit = testpeer.Run(t, env, "storescu", append(append(secure, host, port), files(t, all)...)...)
				require.Zero(t, exit, out)
				seen, sums := got.all()
				require.Len(t, seen, len(all))
				for i, in := range seen {
					require.Equal(t, sum(all[in.SOPInstanceUID]), sums[i])
				}

				out, exit = testpeer.Run(t, env, "echoscu", host, port)
				require.NotZero(t, exit, out)
				out, exit = testpeer.Run(t, env, "echoscu", "+tla", "-ic", host, port)
				require.NotZero(t, exit, "without a certificate: %s", out)
			})
		}
	})
	t.Run("verifies nothing", func(t *testing.T) {
		o := secured(ul.TLSOptions{Verification: ul.VerifyNothing}, ca, ours)
		o.Authorities = nil
		cfg, err := ul.ServerTLS(o)
		require.NoError(t, err)
		host, port, err := net.SplitHostPort(serve(t, &dimse.Server{TLS: cfg}))
		require.NoError(t, err)
		other := testpeer.NewAuthority(t)
		out, exit := testpeer.Run(
			t, nil, "echoscu", append(other.DCMTK(other.Issue(t, "localhost"), "-ic"), host, port)...,
		)
		require.Zero(t, exit, out)
	})
}

// TestTLSOrthanc: Orthanc's SCP over TLS, and its SCU with our server.
func TestTLSOrthanc(t *testing.T) {
	ca := testpeer.NewAuthority(t)
	ours, theirs := ca.Issue(t, "localhost"), ca.Issue(t, "localhost")
	var got store
	cfg, err := ul.ServerTLS(secured(ul.TLSOptions{}, ca, ours))
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(serve(t, &dimse.Server{TLS: cfg, Choose: chooseExplicit, Store: got.handle}))
	require.NoError(t, err)
	p := testpeer.Orthanc(t, nil, map[string]any{
		"DicomTlsEnabled": true, "DicomTlsCertificate": theirs.CertificateFile, "DicomTlsPrivateKey": theirs.KeyFile,
		"DicomTlsTrustedCertificates": ca.File,
		"DicomModalities":             map[string]any{"adit": map[string]any{"AET": "ADIT", "Host": "127.0.0.1", "Port": port, "UseDicomTls": true}},
	})
	a, err := dialTLS(t, p.Addr, secured(ul.TLSOptions{}, ca, ours))
	require.NoError(t, err)
	all := objects(t)
	sendAll(t, a, all)
	require.NoError(t, a.Release(t.Context()))
	require.Len(t, p.Files(t), len(all))
	p.Post(t, "/modalities/adit/echo", nil, nil)
	p.Post(t, "/modalities/adit/store", p.Studies(t), nil)
	seen, _ := got.all()
	require.Len(t, seen, len(all))
}

// TestTLSOptions: what can't work is said when it is configured.
func TestTLSOptions(t *testing.T) {
	ca := testpeer.NewAuthority(t)
	own := ca.Issue(t, "localhost")
	key, err := os.ReadFile(own.KeyFile)
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		server bool
		o      ul.TLSOptions
		text   string
	}{
		"no certificate":    {true, ul.TLSOptions{Authorities: ca.PEM}, "needs a certificate and its private key"},
		"no authority":      {true, ul.TLSOptions{Certificate: own.Certificate, Key: key}, "needs the certificates of the authorities"},
		"key without":       {false, ul.TLSOptions{Key: key}, "cannot be used"},
		"another's key":     {false, ul.TLSOptions{Certificate: own.Certificate, Key: ca.Issue(t, "localhost").Key}, "cannot be used"},
		"authority garbage": {false, ul.TLSOptions{Authorities: []byte("nothing")}, "hold none that can be read"},
	} {
		t.Run(name, func(t *testing.T) {
			configure := ul.ClientTLS
			if tc.server {
				configure = ul.ServerTLS
			}
			_, err := configure(tc.o)
			require.ErrorContains(t, err, tc.text)
		})
	}
}

// TestStaleTLS: looking whether a peer has gone harms no association with TLS, where something always waits to be read.
func TestStaleTLS(t *testing.T) {
	ca := testpeer.NewAuthority(t)
	own := ca.Issue(t, "localhost")
	ended := make(chan struct{})
	associations := make(chan *dimse.ServerAssociation, 1)
	cfg, err := ul.ServerTLS(secured(ul.TLSOptions{}, ca, own))
	require.NoError(t, err)
	var got store
	addr := serve(t, &dimse.Server{
		TLS: cfg, Store: got.handle, Ended: func(*dimse.ServerAssociation, error) { close(ended) },
		Echo: func(_ context.Context, a *dimse.ServerAssociation) dimse.Status {
			associations <- a
			return dimse.Success
		},
	})
	a, err := dialTLS(t, addr, secured(ul.TLSOptions{}, ca, own))
	require.NoError(t, err)
	a.SetCheckAfter(0)
	for n := range 10 {
		_, err := a.Store(t.Context(), ctRequest(n), bytes.NewReader(pattern(200_000)))
		require.NoError(t, err)
	}
	require.NoError(t, a.Echo(t.Context()))
	(<-associations).Abort()
	<-ended
	err = a.Echo(t.Context())
	require.ErrorAs(t, err, new(*dimse.StaleError))
	require.ErrorAs(t, err, new(*ul.AbortedError))
}
