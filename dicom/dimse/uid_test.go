// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/ul"
)

// notUIDs are C-STORE requests that name something that is no UID, with what they are answered.
var notUIDs = map[string]struct {
	class, instance string
	status          dimse.Status
}{
	"a path":               {ctClass, "../../../V/1.2.3", dimse.InvalidSOPInstance},
	"no instance":          {ctClass, "", dimse.InvalidSOPInstance},
	"too long":             {ctClass, strings.Repeat("1.", 32) + "1", dimse.InvalidSOPInstance},
	"an empty component":   {ctClass, "1..2", dimse.InvalidSOPInstance},
	"odd bytes as a class": {"\xff\xfe\x00x", "1.2.3", dimse.ClassInstanceConflict},
	"a name as a class":    {"CTImageStorage", "1.2.3", dimse.ClassInstanceConflict},
	"neither":              {"x", "y", dimse.ClassInstanceConflict},
}

// TestStoreOfNoUID: the provider of C-STORE refuses what is named by no UID, before any handler sees it, and tells who
// counts.
func TestStoreOfNoUID(t *testing.T) {
	refused := make(chan dimse.Status, 1)
	var got store
	addr := serve(t, &dimse.Server{
		Store: got.handle, Refused: func(_ *dimse.ServerAssociation, s dimse.Status) { refused <- s },
	})
	a, err := ul.Dial(t.Context(), addr, &ul.AssociateRQ{CalledAE: "A", CallingAE: "B", Contexts: []ul.ContextRQ{
		{ID: 1, AbstractSyntax: ctClass, TransferSyntaxes: []string{explicit}},
	}}, ul.Options{})
	require.NoError(t, err)
	defer a.Drop()
	s := &scripted{a: a}
	for name, tc := range notUIDs {
		s.send(1, dimse.Command{
			Field: dimse.CStoreRQ, MessageID: 7, AffectedSOPClassUID: tc.class,
			AffectedSOPInstanceUID: tc.instance,
		}, pattern(100_000))
		require.Equal(t, tc.status, s.request().Status, name)
		require.Equal(t, tc.status, <-refused, name)
	}
	s.send(1, dimse.Command{
		Field: dimse.CStoreRQ, MessageID: 8, AffectedSOPClassUID: ctClass, AffectedSOPInstanceUID: "1.02.003",
	}, pattern(1000))
	require.Equal(t, dimse.Success, s.request().Status, "leading zeros are borne")
	seen, _ := got.all()
	require.Len(t, seen, 1)
}

// TestGetOfNoUID: the same holds for the sub-operations of a C-GET.
func TestGetOfNoUID(t *testing.T) {
	for name, tc := range notUIDs {
		t.Run(name, func(t *testing.T) {
			a := dial(t, raw(t, func(_ *ul.Association, s *scripted) {
				rq := s.request()
				s.send(11, dimse.Command{
					Field: dimse.CStoreRQ, MessageID: 1, AffectedSOPClassUID: tc.class,
					AffectedSOPInstanceUID: tc.instance,
				}, pattern(1000))
				rsp := s.request()
				s.send(
					5, dimse.Command{Field: dimse.CGetRSP, MessageIDRespondedTo: rq.MessageID, Status: rsp.Status}, nil,
				)
			}))
			r, err := a.Get(
				t.Context(), dimse.GetRequest{SOPClassUID: getClass, Identifier: query(study)},
				func(context.Context, *dimse.Incoming) dimse.Status {
					t.Error("the handler got it")
					return dimse.Success
				},
			)
			require.NoError(t, err)
			require.Equal(t, tc.status, r.Status)
			require.NoError(t, a.Release(t.Context()))
		})
	}
}

// TestContextOfNoUID: what is proposed under a name that is no UID is accepted by no server, whatever its Choose says.
func TestContextOfNoUID(t *testing.T) {
	addr := serve(t, &dimse.Server{})
	a, err := ul.Dial(t.Context(), addr, &ul.AssociateRQ{CalledAE: "A", CallingAE: "B", Contexts: []ul.ContextRQ{
		{ID: 1, AbstractSyntax: "\xff\xfe", TransferSyntaxes: []string{explicit}},
		{ID: 3, AbstractSyntax: dict.Verification, TransferSyntaxes: []string{"../x", explicit}},
		{ID: 5, AbstractSyntax: dict.Verification, TransferSyntaxes: []string{"\xff\xfe"}},
	}}, ul.Options{})
	require.NoError(t, err)
	defer a.Drop()
	ac := a.AC().Contexts
	require.Equal(t, ul.ContextAbstractSyntaxRefused, ac[0].Result)
	require.Equal(t, explicit, ac[1].TransferSyntax)
	require.Equal(t, ul.ContextTransferSyntaxesRefused, ac[2].Result)
}
