// SPDX-License-Identifier: AGPL-3.0-or-later

package nodes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/version"
	"github.com/adit-go/adit/people"
)

// Settings returns what a server was added with, or changed to. What is secret is not among it.
func (n DICOMNode) Settings() NewServer {
	s := settingsOf(n.Server)
	s.Name, s.Verify, s.Retrieve.Direct = n.Name, n.Verify, maps.Clone(n.Direct)
	return s
}

// Version tells what staff set of a server or folder apart from what it was before.
func (n DICOMNode) Version() string {
	if n.Folder != nil {
		return version.Of(n.Name, n.Folder.Path, n.Folder.QuotaGb, n.Folder.WarnGb)
	}
	return version.Of(n.Settings())
}

// validate fills in what is not given, and refuses what can't be.
func (s *NewServer) validate() error {
	if err := validateNodeName(s.Name); err != nil {
		return err
	}
	s.settle()
	s.Retrieve.AddAddresses(s.Retrieve.AddAddressRanges...)
	s.Retrieve.AddAddressRanges = nil
	for _, c := range slices.Concat(s.checks(), s.together()) {
		if !c.ok {
			return &refusal.Invalid{Field: c.field, Reason: c.reason}
		}
	}
	return s.TLS.validate()
}

// check is a condition on a field, and what is wrong if it doesn't hold.
type check struct {
	ok            bool
	field, reason string
}

// together are the conditions that a setting has to meet beside others.
func (s *NewServer) together() []check {
	finds := s.Supports.find()
	r := s.Retrieve
	return append([]check{
		{
			s.Supports != Supports{}, "supports",
			"name at least one service that the server offers: find, get, move or store, or by DICOMweb qido, wado or stow",
		},
		{
			s.Host != "" || !s.Supports.dimse() && s.Port == 0, "host",
			"give a host name or an IP address; only a server that is reached by DICOMweb alone needs none",
		},
		{
			s.Port != 0 || !s.Supports.dimse() && s.Host == "", "port",
			"give a port from 1 to 65535; only a server that is reached by DICOMweb alone needs none",
		},
		{
			r.MoveDestination == "" || r.MoveDestination != r.MoveDestinationPlain, "retrieve.move_destination_plain",
			"must differ from move_destination: " +
				"the called AE title tells ADIT whether to accept instances as stored or only uncompressed",
		},
		checkDirect(r.Direct),
		{
			s.Verify.Method != VerifyPresence || finds, "verify.method",
			"presence is verified by C-FIND or QIDO-RS, neither of which this server supports",
		},
		{
			s.Verify.Method != VerifyCommitment || s.Host != "", "verify.method",
			"storage commitment takes an association; give the server's host and port, or verify presence",
		},
		{
			s.Rules.Duplicates == SendDuplicates || finds, "rules.duplicates",
			"ADIT asks by C-FIND or QIDO-RS what the server already holds, neither of which this server supports",
		},
	}, s.DICOMweb.together(s.Supports)...)
}

// putSettings writes all settings of a server, whose row was before; nil: it has none yet.
func (svc *Service) putSettings(ctx context.Context, q *db.Queries, id int64, s *NewServer, before *db.Server) error {
	row, err := sealed(svc.People, id, s, before)
	if err != nil {
		return err
	}
	return errors.Join(q.PutServer(ctx, row), s.Verify.put(ctx, q, id), putDirect(ctx, q, id, s.Retrieve.Direct))
}

// sealed returns the row of a server with what is secret, as it is kept.
func sealed(keys *people.Service, id int64, s *NewServer, before *db.Server) (row db.PutServerParams, err error) {
	row = s.row(id)
	var key []byte
	if before != nil && s.TLS.Certificate == before.TlsCertificate {
		key = before.TlsSealedKey // which belongs to this certificate
	}
	if row.TlsSealedKey, err = sealTLS(keys, id, s.TLS, key); err == nil {
		row.WebSealedSecret, err = sealSecret(keys, id, s.DICOMweb, before)
	}
	return row, err
}

// UpdateServer changes a server's settings, but for its name: change is given what they are. What the server can be
// used for then and could not before, the user's active group may use it for. It is for staff.
func (svc *Service) UpdateServer(
	ctx context.Context, user people.User, name string, change func(*NewServer) error,
) (DICOMNode, error) {
	if err := svc.People.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return DICOMNode{}, err
	}
	n, err := svc.ByName(ctx, name)
	if err != nil {
		return DICOMNode{}, err
	}
	if n.Server == nil {
		return DICOMNode{},
			&refusal.Invalid{Field: "name", Reason: "this DICOM node is a folder; only servers have such settings"}
	}
	err = svc.InTx(ctx, func(q *db.Queries) error {
		row, err := q.LockServer(ctx, n.ID)
		if err != nil {
			return refusal.NotFound(err, "DICOM node", n.ID)
		}
		n.Server = &row
		if err := n.loadVerify(ctx, q); err != nil {
			return err
		}
		if err := version.Check(ctx, n.Version()); err != nil {
			return err
		}
		s, before := n.Settings(), n.Settings()
		source, destination := s.Supports.source(), s.Supports.destination()
		if err := change(&s); err != nil {
			return err
		}
		s.Name = n.Name
		if err := s.validate(); err != nil {
			return err
		}
		err = errors.Join(keepIssuer(ctx, q, row, s), svc.putSettings(ctx, q, n.ID, &s, &row), keepCaps(ctx, q, n.ID),
			settleCallers(ctx, q, s), q.ResetServer(ctx, n.ID))
		if err != nil {
			return err
		}
		fields := base.ChangedFields(before, s)
		entry := audit.Entry{
			Action: "server.change", Object: "server " + n.Name, Detail: map[string]any{"fields": fields},
			Widens: slices.ContainsFunc(fields, redirects),
		}
		use := people.NodeUse{
			Source: s.Supports.source() && !source, Destination: s.Supports.destination() && !destination,
		}
		if err := grant(ctx, q, user, n.ID, use, &entry); err != nil {
			return err
		}
		return audit.Record(ctx, q, entry)
	})
	if err != nil {
		return DICOMNode{}, taken(err, n.Name)
	}
	svc.Signals.ServersChanged()
	svc.Reconsider()
	return svc.ByID(ctx, n.ID)
}

// redirects reports whether a setting says where data goes, who may send it, or whose it is.
func redirects(field string) bool { return !daily[field] }

// keepIssuer refuses another issuer once patients of a server have pseudonyms, unless its patients are to begin anew.
func keepIssuer(ctx context.Context, q *db.Queries, row db.Server, s NewServer) error {
	since := row.PseudonymsSince
	switch {
	case since == nil || s.IssuerOfPatientID == row.IssuerOfPatientID:
		return nil
	case !s.PatientsAnew:
		return &refusal.Invalid{Field: "issuer_of_patient_id", Reason: fmt.Sprintf(
			"patients of this server have had pseudonyms since %s; under another issuer the same patients get other "+
				"pseudonyms, UIDs and dates. "+
				"If you intend this, confirm it (patients_anew; adit node set --patients-anew)", since.Format(time.DateOnly),
		)}
	}
	return q.ForgetPseudonyms(ctx, row.ID)
}

// What becomes of instances that a destination holds already.
const (
	SendDuplicates = "send" // they are sent all the same; what it makes of them is up to it
	// it is asked for them by C-FIND or QIDO-RS before anything is fetched; those that it lists are not sent
	SkipDuplicates   = "skip"
	RefuseDuplicates = "refuse" // a task fails before anything is sent, if the destination lists one of its instances
)
