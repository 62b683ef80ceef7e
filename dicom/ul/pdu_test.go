// SPDX-License-Identifier: AGPL-3.0-or-later

package ul

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
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
			require.NoError(t, err, "%s: %s", name, line)
			out = append(out, h...)
		}
	}
	return out
}

var fixtures = []struct {
	file string
	want PDU
}{
	{"associate-rq.txt", &AssociateRQ{
		CalledAE: "STORE_SCP", CallingAE: "ECHOSCU", ApplicationContext: ApplicationContext,
		Contexts: []ContextRQ{
			{1, "1.2.840.10008.1.1", []string{"1.2.840.10008.1.2"}},
			{3, "1.2.840.10008.5.1.4.1.1.2", []string{"1.2.840.10008.1.2.1", "1.2.840.10008.1.2"}},
		},
		User: UserInfo{
			MaxPDU: 16384, ImplementationUID: "1.2.3.4", ImplementationVersion: "TEST_1",
			AsyncOperations: &AsyncOperations{5, 1},
			Roles:           []RoleSelection{{"1.2.840.10008.5.1.4.1.1.2", false, true}},
			Extended:        []ExtendedNegotiation{{"1.2.840.10008.5.1.4.1.2.2.1", []byte{1, 1}}},
			UserIdentityRQ: &UserIdentityRQ{
				Type: 2, PositiveResponse: true, Primary: []byte("user"), Secondary: []byte("secret"),
			},
			Unknown: []Item{{0x57, []byte{0xCA, 0xFE}}},
		},
	}},
	{"associate-ac.txt", &AssociateAC{
		CalledAE: "STORE_SCP", CallingAE: "ECHOSCU", ApplicationContext: ApplicationContext,
		Contexts: []ContextAC{
			{1, ContextAccepted, "1.2.840.10008.1.2"},
			{3, ContextAbstractSyntaxRefused, ""},
		},
		User: UserInfo{
			MaxPDU: 1048570, ImplementationUID: "1.2.3.4",
			Roles:          []RoleSelection{{"1.2.840.10008.5.1.4.1.1.2", false, true}},
			UserIdentityAC: &UserIdentityAC{[]byte("ok")},
		},
	}},
	{"associate-rj.txt", &AssociateRJ{RejectedPermanent, RejectedByUser, ReasonCalledAE}},
	{"p-data-tf.txt", &PDataTF{[]PDV{
		{1, true, true, []byte{0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0}},
		{3, false, false, []byte{0xAA, 0xBB}},
		{3, false, true, nil},
	}}},
	{"release-rq.txt", &ReleaseRQ{}},
	{"release-rp.txt", &ReleaseRP{}},
	{"abort.txt", &Abort{AbortedByProvider, AbortUnexpectedPDU}},
}

func TestFixtures(t *testing.T) {
	for _, f := range fixtures {
		t.Run(f.file, func(t *testing.T) {
			b := fixture(t, f.file)
			got, err := DecodePDU(PDUType(b[0]), b[pduHeaderLen:])
			require.NoError(t, err)
			if p, ok := got.(*PDataTF); ok {
				p.Values[2].Data = nil // empty and nil are the same
			}
			require.Equal(t, f.want, got)
			again, err := AppendPDU(nil, got)
			require.NoError(t, err)
			require.Equal(t, hex.Dump(b), hex.Dump(again))
		})
	}
}

// TestTruncated cuts each fixture at every length: nothing shorter is valid but at the borders of items.
func TestTruncated(t *testing.T) {
	for _, f := range fixtures {
		b := fixture(t, f.file)
		for n := range len(b) - pduHeaderLen {
			p, err := DecodePDU(PDUType(b[0]), b[pduHeaderLen:pduHeaderLen+n])
			if err != nil {
				require.ErrorAs(t, err, new(*ProtocolError))
				continue
			}
			require.NotEqual(t, f.want, p, "%s cut at %d", f.file, n)
		}
	}
}

func TestAssociateBounds(t *testing.T) {
	many := &AssociateRQ{}
	for i := range 128 {
		many.Contexts = append(many.Contexts, ContextRQ{byte(2*i + 1), "1.2", []string{"1.2.840.10008.1.2"}})
	}
	b, err := AppendPDU(nil, many)
	require.NoError(t, err)
	_, err = DecodePDU(TypeAssociateRQ, b[pduHeaderLen:])
	require.NoError(t, err)

	many.Contexts = append(many.Contexts, ContextRQ{1, "1.2", nil})
	b, err = AppendPDU(nil, many)
	require.NoError(t, err)
	_, err = DecodePDU(TypeAssociateRQ, b[pduHeaderLen:])
	require.ErrorContains(t, err, "more than 128 presentation contexts")

	tiny := &AssociateRQ{
		Contexts: []ContextRQ{{ID: 1, AbstractSyntax: "1.2", TransferSyntaxes: make([]string, maxItems)}},
	}
	b, err = AppendPDU(nil, tiny)
	require.NoError(t, err)
	_, err = DecodePDU(TypeAssociateRQ, b[pduHeaderLen:])
	require.ErrorContains(t, err, "more than 4096 items")

	_, err = AppendPDU(nil, &AssociateRQ{CalledAE: "SEVENTEEN_LETTERS"})
	require.ErrorContains(t, err, "at most 16 characters")
}

// FuzzPDU: what decodes encodes, and decodes to the same again.
func FuzzPDU(f *testing.F) {
	for _, x := range fixtures {
		b := fixture(f, x.file)
		f.Add(b[0], b[pduHeaderLen:])
	}
	f.Fuzz(func(t *testing.T, typ byte, body []byte) {
		p, err := DecodePDU(PDUType(typ), body)
		if err != nil {
			require.ErrorAs(t, err, new(*ProtocolError))
			return
		}
		b, err := AppendPDU(nil, p)
		if err != nil {
			return // decoded fields that do not fit together in one item of 64 KiB
		}
		q, err := DecodePDU(PDUType(typ), b[pduHeaderLen:])
		require.NoError(t, err)
		c, err := AppendPDU(nil, q)
		require.NoError(t, err)
		require.Equal(t, b, c)
	})
}
