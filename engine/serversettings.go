// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/people"
)

// Settings gives what a server was added with, or changed to. Its TLS key is not among it.
func (n DICOMNode) Settings() NewServer {
	s := n.Server
	batch, interactive, images := int(s.BatchCap), int(s.InteractiveCap), s.FindImages
	retrieve := RetrieveOf(s)
	retrieve.Direct = maps.Clone(n.Direct)
	return NewServer{
		Name: n.Name, AETitle: s.AeTitle, Host: s.Host, Port: int(s.Port), CallingAETitle: s.CallingAeTitle,
		Supports: Supports{
			PatientRootFind: s.PatientRootFind, PatientRootGet: s.PatientRootGet, PatientRootMove: s.PatientRootMove,
			StudyRootFind: s.StudyRootFind, StudyRootGet: s.StudyRootGet, StudyRootMove: s.StudyRootMove, Store: s.StoreScp,
		},
		ResultLimit: int(s.ResultLimit), IdleTimeout: time.Duration(s.IdleTimeoutS) * time.Second, BatchCap: &batch, InteractiveCap: &interactive,
		AssociationsPerTask: int(s.AssociationsPerTask), FindImages: &images,
		IssuerOfPatientID: s.IssuerOfPatientID,
		Retrieve:          retrieve,
		Verify:            n.Verify,
		Rules:             RulesOf(s),
		TLS: TLS{
			Use: s.Tls, Profile: s.TlsProfile, Verify: s.TlsVerify, Authorities: s.TlsAuthorities, Certificate: s.TlsCertificate,
			ServerName: s.TlsServerName,
		},
	}
}

// UpdateServer changes a server's settings, but for its name: change is given what they are. What the server can be used for then and
// could not before, the user's active group may use it for. It is for staff.
func (e *Engine) UpdateServer(ctx context.Context, user people.User, name string, change func(*NewServer) error) (DICOMNode, error) {
	if err := e.people.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return DICOMNode{}, err
	}
	n, err := e.DICOMNodeByName(ctx, name)
	if err != nil {
		return DICOMNode{}, err
	}
	if n.Server == nil {
		return DICOMNode{}, &Invalid{Field: "name", Reason: "this DICOM node is a folder; only servers have such settings"}
	}
	err = e.inTx(ctx, func(q *db.Queries) error {
		row, err := q.LockServer(ctx, n.ID)
		if err != nil {
			return notFound(err, "DICOM node", n.ID)
		}
		n.Server = &row
		if err := n.loadVerify(ctx, q); err != nil {
			return err
		}
		s, before := n.Settings(), n.Settings()
		source, destination := s.Supports.source(), s.Supports.Store
		if err := change(&s); err != nil {
			return err
		}
		s.Name = n.Name
		if err := s.validate(); err != nil {
			return err
		}
		err = errors.Join(keepIssuer(ctx, q, row, s), q.UpdateServer(ctx, s.update(n.ID)), keepCaps(ctx, q, n.ID), s.putVerify(ctx, q, n.ID), s.putRules(ctx, q, n.ID),
			settleCallers(ctx, q, s), q.ResetServer(ctx, n.ID))
		if err != nil {
			return err
		}
		if s.TLS.Certificate != row.TlsCertificate {
			row.TlsSealedKey = nil // belongs to the other one
		}
		if err := e.putTLS(ctx, q, n.ID, s.TLS, row.TlsSealedKey); err != nil {
			return err
		}
		source, destination = s.Supports.source() && !source, s.Supports.Store && !destination
		if err := people.Record(ctx, q, people.Entry{
			Action: "server.change", Object: "server " + n.Name, Detail: map[string]any{"fields": changedFields(before, s)},
		}); err != nil {
			return err
		}
		if user.ActiveGroupID == nil || !source && !destination {
			return nil
		}
		return q.WidenNodeAccess(ctx, db.WidenNodeAccessParams{GroupID: *user.ActiveGroupID, DicomNodeID: n.ID, IsSource: source, IsDestination: destination})
	})
	if err != nil {
		return DICOMNode{}, taken(err, n.Name)
	}
	e.inbox.ServersChanged()
	e.reconsider()
	return e.dicomNode(ctx, n.ID)
}

// keepIssuer refuses another issuer once patients of a server have pseudonyms, unless its patients are to begin anew.
func keepIssuer(ctx context.Context, q *db.Queries, row db.Server, s NewServer) error {
	since := row.PseudonymsSince
	switch {
	case since == nil || s.IssuerOfPatientID == row.IssuerOfPatientID:
		return nil
	case !s.PatientsAnew:
		return &Invalid{Field: "issuer_of_patient_id", Reason: fmt.Sprintf("patients of this server have pseudonyms since %s; under another issuer the same patients get other pseudonyms, UIDs and dates. "+
			"If that is meant, say so (patients_anew; adit node set --patients-anew)", since.Format(time.DateOnly))}
	}
	return q.ForgetPseudonyms(ctx, row.ID)
}

func (s *NewServer) update(id int64) db.UpdateServerParams {
	p := s.params(id)
	return db.UpdateServerParams{
		ID: id, AeTitle: p.AeTitle, Host: p.Host, Port: p.Port, CallingAeTitle: p.CallingAeTitle,
		PatientRootFind: p.PatientRootFind, PatientRootGet: p.PatientRootGet, PatientRootMove: p.PatientRootMove,
		StudyRootFind: p.StudyRootFind, StudyRootGet: p.StudyRootGet, StudyRootMove: p.StudyRootMove, StoreScp: p.StoreScp,
		ResultLimit: p.ResultLimit, IdleTimeoutS: p.IdleTimeoutS, BatchCap: p.BatchCap, InteractiveCap: p.InteractiveCap,
		AssociationsPerTask: p.AssociationsPerTask, RetrieveMethods: p.RetrieveMethods, MoveDestination: p.MoveDestination,
		MoveDestinationPlain: p.MoveDestinationPlain, MoveOriginator: p.MoveOriginator, MovePatienceS: p.MovePatienceS,
		OtherAeTitles: p.OtherAeTitles, AddressRanges: p.AddressRanges, FindImages: s.FindImages == nil || *s.FindImages,
		IssuerOfPatientID: p.IssuerOfPatientID,
	}
}
