// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/pacs"
	"github.com/adit-go/adit/internal/text"
	"github.com/adit-go/adit/people"
)

// DICOMNode is a server or a folder: what transfers come from and go to.
type DICOMNode struct {
	ID        int64
	Name      string
	Server    *db.Server     // nil for a folder
	Folder    *db.Folder     // nil for a server
	Usage     db.FolderUsage // of a folder
	Paused    bool
	Takes     *int              // associations of jobs at once, of a server that refused more
	NextProbe time.Time         // when it is asked for more
	pressed   bool              // it has refused something lately: a success there is to be taken down
	Verify    Verify            // of a server, as a destination
	Direct    map[string]string // of a server, as Retrieve.Direct
	CreatedAt time.Time
}

// NewServer describes a server to be added. Zero numbers take the defaults of Defaults.
type NewServer struct {
	Name                string
	AETitle             string
	Host                string
	Port                int
	CallingAETitle      string
	Supports            Supports
	ResultLimit         int
	IdleTimeout         time.Duration
	BatchCap            *int
	InteractiveCap      *int
	AssociationsPerTask int
	FindImages          *bool // its C-FIND at IMAGE level is worth asking for; nil: yes
	// IssuerOfPatientID names who gives out the Patient IDs of a source. For pseudonyms the same ID of two issuers is two patients.
	IssuerOfPatientID string
	PatientsAnew      bool // of a change: another issuer is meant, although patients of the server have pseudonyms already
	TLS               TLS
	Retrieve          Retrieve
	Verify            Verify
	Rules             Rules
}

// Supports are the services that a server offers.
type Supports struct {
	PatientRootFind, PatientRootGet, PatientRootMove bool
	StudyRootFind, StudyRootGet, StudyRootMove       bool
	Store                                            bool
}

// source tells whether a server can be searched and read.
func (s Supports) source() bool {
	return (s.StudyRootFind || s.PatientRootFind) && s.retrieve()
}

// Defaults of a server that names no other numbers.
const (
	defaultResultLimit         = 200
	defaultIdleTimeout         = 60 * time.Second
	defaultBatchCap            = 4
	defaultInteractiveCap      = 2
	defaultAssociationsPerTask = 4
)

// AddServer adds a server and lets the user's active group use it as a source, if it can be searched and read, and as a
// destination, if it takes objects. It is for staff.
func (e *Engine) AddServer(ctx context.Context, user people.User, s NewServer) (DICOMNode, error) {
	if err := e.people.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return DICOMNode{}, err
	}
	if err := s.validate(); err != nil {
		return DICOMNode{}, err
	}
	var id int64
	err := e.inTx(ctx, func(q *db.Queries) error {
		var err error
		if id, err = q.InsertDicomNode(ctx, db.InsertDicomNodeParams{Name: s.Name, Kind: "server"}); err != nil {
			return err
		}
		if _, err = q.InsertServer(ctx, s.params(id)); err != nil {
			return err
		}
		if s.FindImages != nil && !*s.FindImages {
			if err = q.UpdateServer(ctx, s.update(id)); err != nil {
				return err
			}
		}
		if err = e.putTLS(ctx, q, id, s.TLS, nil); err != nil {
			return err
		}
		if err = errors.Join(q.InsertServerState(ctx, id), keepCaps(ctx, q, id), s.putVerify(ctx, q, id), s.putRules(ctx, q, id)); err != nil {
			return err
		}
		if err = grant(ctx, q, user, id, s.Supports.source(), s.Supports.Store); err != nil {
			return err
		}
		return people.Record(ctx, q, people.Entry{
			Action: "server.create", Object: "server " + s.Name, Detail: map[string]any{"ae_title": s.AETitle, "host": s.Host, "port": s.Port},
		})
	})
	if err != nil {
		return DICOMNode{}, taken(err, s.Name)
	}
	e.inbox.ServersChanged()
	return e.dicomNode(ctx, id)
}

func (s *NewServer) validate() error {
	if err := validateNodeName(s.Name); err != nil {
		return err
	}
	s.AETitle, s.CallingAETitle = strings.Trim(s.AETitle, " "), strings.Trim(s.CallingAETitle, " ")
	s.IssuerOfPatientID = strings.TrimSpace(s.IssuerOfPatientID)
	checks := []check{
		{validAE(s.AETitle), "ae_title", "an AE title has 1 to 16 ASCII characters, none of them a backslash"},
		{s.CallingAETitle == "" || validAE(s.CallingAETitle), "calling_ae_title", "an AE title has 1 to 16 ASCII characters, none of them a backslash"},
		{validHost(s.Host), "host", "give a host name or an IP address, without a scheme or port"},
		{s.Port >= 1 && s.Port <= 65535, "port", "a port is a number from 1 to 65535"},
		{s.Supports != Supports{}, "supports", "name at least one service that the server offers: find, get, move or store"},
		{validCap(s.BatchCap), "batch_cap", capReason},
		{validCap(s.InteractiveCap), "interactive_cap", capReason},
		{validCap(&s.AssociationsPerTask), "associations_per_task", capReason},
		{s.ResultLimit >= 0 && s.ResultLimit <= maxResultLimit, "result_limit", fmt.Sprintf("must be between 1 and %d", maxResultLimit)},
		{s.IdleTimeout >= 0 && s.IdleTimeout <= time.Hour, "idle_timeout", "must be between one second and one hour"},
		{validText(s.IssuerOfPatientID), "issuer_of_patient_id", textReason},
	}
	checks = append(append(checks, s.Retrieve.checks()...), s.Verify.checks(s.Supports)...)
	checks = append(checks, s.Rules.checks(s.Supports)...)
	for _, c := range checks {
		if !c.ok {
			return &Invalid{Field: c.field, Reason: c.reason}
		}
	}
	return s.TLS.validate()
}

// check is a condition on a field, and what is wrong if it doesn't hold.
type check struct {
	ok            bool
	field, reason string
}

const (
	maxCap         = 1000
	maxResultLimit = 100_000
)

// validText tells whether a text fits an LO attribute (PS3.5 6.2); textReason says what is wrong otherwise.
func validText(s string) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == '\\' })
}

const textReason = "at most 64 characters, without a backslash or control characters"

var capReason = fmt.Sprintf("must be between 0 and %d associations", maxCap)

func validCap(n *int) bool { return n == nil || *n >= 0 && *n <= maxCap }

func validAE(title string) bool {
	return title != "" && len(title) <= 16 && !strings.ContainsFunc(title, func(r rune) bool { return r < ' ' || r > '~' || r == '\\' })
}

func validHost(host string) bool {
	return net.ParseIP(host) != nil || host != "" && !strings.ContainsFunc(host, func(r rune) bool { return r == ' ' || r == '/' || r == ':' || text.Hidden(r) })
}

func validateNodeName(name string) error {
	if name == "" || len(name) > 64 || strings.TrimSpace(name) != name || strings.ContainsRune(name, '/') || !text.Plain(name) {
		return &Invalid{Field: "name", Reason: "a name has 1 to 64 characters, without a slash, characters that can't be seen and blanks at its ends"}
	}
	return nil
}

func (s *NewServer) params(id int64) db.InsertServerParams {
	p := db.InsertServerParams{
		ID: id, AeTitle: s.AETitle, Host: s.Host, Port: int32(s.Port), CallingAeTitle: s.CallingAETitle,
		PatientRootFind: s.Supports.PatientRootFind, PatientRootGet: s.Supports.PatientRootGet, PatientRootMove: s.Supports.PatientRootMove,
		StudyRootFind: s.Supports.StudyRootFind, StudyRootGet: s.Supports.StudyRootGet, StudyRootMove: s.Supports.StudyRootMove,
		StoreScp:            s.Supports.Store,
		ResultLimit:         int32(orDefault(s.ResultLimit, defaultResultLimit)),
		IdleTimeoutS:        int32(max(1, orDefault(s.IdleTimeout, defaultIdleTimeout)/time.Second)),
		BatchCap:            int32(deref(s.BatchCap, defaultBatchCap)),
		InteractiveCap:      int32(deref(s.InteractiveCap, defaultInteractiveCap)),
		AssociationsPerTask: int32(orDefault(s.AssociationsPerTask, defaultAssociationsPerTask)),
		IssuerOfPatientID:   s.IssuerOfPatientID,
	}
	s.Retrieve.fill(&p)
	return p
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

func deref[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}

// AddFolder adds a folder and lets the user's active group use it as a destination. The folder must be there and
// writable. It is for staff.
func (e *Engine) AddFolder(ctx context.Context, user people.User, f NewFolder) (DICOMNode, error) {
	if err := e.people.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return DICOMNode{}, err
	}
	if err := validateNodeName(f.Name); err != nil {
		return DICOMNode{}, err
	}
	if err := f.validate(); err != nil {
		return DICOMNode{}, err
	}
	if !filepath.IsAbs(f.Path) {
		return DICOMNode{}, &Invalid{Field: "path", Reason: "give an absolute path"}
	}
	path := filepath.Clean(f.Path)
	if err := e.checkPlace(user, path); err != nil {
		return DICOMNode{}, err
	}
	if err := checkFolder(path, path); err != nil {
		return DICOMNode{}, &Invalid{Field: "path", Reason: err.Error()}
	}
	var id int64
	err := e.inTx(ctx, func(q *db.Queries) error {
		var err error
		if id, err = q.InsertDicomNode(ctx, db.InsertDicomNodeParams{Name: f.Name, Kind: "folder"}); err != nil {
			return err
		}
		if _, err = q.InsertFolder(ctx, db.InsertFolderParams{ID: id, Path: path}); err != nil {
			return err
		}
		if _, err = setUpPath(ctx, q, id, path, false); err != nil {
			return err
		}
		if err = q.InsertFolderUsage(ctx, id); err != nil {
			return err
		}
		if err = q.SetQuota(ctx, db.SetQuotaParams{ID: id, QuotaGb: f.QuotaGB, WarnGb: f.WarnGB}); err != nil {
			return err
		}
		if err = grant(ctx, q, user, id, false, true); err != nil {
			return err
		}
		return people.Record(ctx, q, people.Entry{Action: "folder.create", Object: "folder " + f.Name, Detail: map[string]any{"path": path, "quota_gb": f.QuotaGB, "warn_gb": f.WarnGB}})
	})
	if err != nil {
		return DICOMNode{}, taken(err, f.Name)
	}
	return e.dicomNode(ctx, id)
}

func grant(ctx context.Context, q *db.Queries, user people.User, node int64, source, destination bool) error {
	if user.ActiveGroupID == nil {
		return nil
	}
	return q.GrantNodeAccess(ctx, db.GrantNodeAccessParams{
		GroupID: *user.ActiveGroupID, DicomNodeID: node, IsSource: source, IsDestination: destination,
	})
}

// checkFolder tells whether files can be made in a folder that is there. An error calls it by the name given: a path is for staff only.
func checkFolder(path, called string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("there is no folder %s; make it, or mount the disk that holds it", called)
	case err != nil:
		return fmt.Errorf("the folder %s can't be used: %w", called, bare(err))
	case !info.IsDir():
		return fmt.Errorf("%s is a file, not a folder", called)
	}
	probe, err := os.CreateTemp(path, ".adit-probe-*")
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("there is no room in the folder %s; make room: %w", called, errors.Unwrap(err))
	case err != nil:
		return fmt.Errorf("the folder %s isn't writable for the user that runs ADIT; change its owner or permissions: %w", called, errors.Unwrap(err))
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// taken turns a violated uniqueness into a sentence.
func taken(err error, name string) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != "23505" {
		return err
	}
	switch pg.ConstraintName {
	case "servers_ae_title_key":
		return &Conflict{Reason: "another server has this AE title already; AE titles are unique"}
	case "folders_path_key":
		return &Conflict{Reason: "another folder has this path already"}
	default:
		return &Conflict{Reason: fmt.Sprintf("a DICOM node named %q exists already; choose another name", name)}
	}
}

// ListDICOMNodes gives at most limit DICOM nodes with an ID above the one given, by ID.
func (e *Engine) ListDICOMNodes(ctx context.Context, above int64, limit int) ([]DICOMNode, error) {
	rows, err := e.q.ListDicomNodes(ctx, db.ListDicomNodesParams{Above: above, Max: int32(limit)})
	if err != nil {
		return nil, err
	}
	ids := make([]int64, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	all, err := e.dicomNodes(ctx, ids...)
	nodes := make([]DICOMNode, len(ids))
	for i, id := range ids {
		nodes[i] = all[id]
	}
	return nodes, err
}

// DICOMNodeByName finds a server or folder by its name, in any case of letters.
func (e *Engine) DICOMNodeByName(ctx context.Context, name string) (DICOMNode, error) {
	row, err := e.q.GetDicomNodeByName(ctx, name)
	if err != nil {
		return DICOMNode{}, notFound(err, "DICOM node", fmt.Sprintf("%q", name))
	}
	return e.dicomNode(ctx, row.ID)
}

// DeleteDICOMNode removes a server or folder that no job names. It is for staff, like AddServer and AddFolder.
func (e *Engine) DeleteDICOMNode(ctx context.Context, user people.User, id int64) error {
	if err := e.people.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return err
	}
	err := e.inTx(ctx, func(q *db.Queries) error {
		node, err := q.GetDicomNode(ctx, id)
		if err != nil {
			return notFound(err, "DICOM node", id)
		}
		n, err := q.DeleteDicomNode(ctx, id)
		if err == nil && n == 0 {
			err = ErrNotFound
		}
		if err != nil {
			return err
		}
		return people.Record(ctx, q, people.Entry{Action: node.Kind + ".delete", Object: node.Kind + " " + node.Name})
	})
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "23503" {
		return &Conflict{Reason: "jobs name this DICOM node; delete them first (adit job delete)"}
	}
	if err != nil {
		return err
	}
	e.inbox.ServersChanged()
	return nil
}

func (e *Engine) dicomNode(ctx context.Context, id int64) (DICOMNode, error) {
	nodes, err := e.dicomNodes(ctx, id)
	return nodes[id], err
}

// dicomNodes gives the nodes with these IDs; ErrNotFound if there is one less.
func (e *Engine) dicomNodes(ctx context.Context, ids ...int64) (map[int64]DICOMNode, error) {
	all := make(map[int64]DICOMNode, len(ids))
	servers, err := e.q.ServersByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, row := range servers {
		n := DICOMNode{
			ID: row.Server.ID, Name: row.Name, Server: &row.Server, Paused: row.ServerState.Paused, CreatedAt: row.CreatedAt,
			pressed: row.ServerState.Allowance != nil || row.ServerState.RefusedTask != nil,
			Verify:  Verify{Method: VerifyNone, Patience: DefaultVerifyPatience},
		}
		n.Takes, n.NextProbe = takes(row.ServerState)
		if row.VerifyMethod != "" {
			n.Verify = Verify{Method: row.VerifyMethod, Patience: time.Duration(row.VerifyPatienceS) * time.Second}
		}
		for i, name := range row.DirectNames {
			if n.Direct == nil {
				n.Direct = map[string]string{}
			}
			n.Direct[name] = row.DirectTitles[i]
		}
		all[n.ID] = n
	}
	others := slices.DeleteFunc(slices.Clone(ids), func(id int64) bool { return all[id].Server != nil })
	if len(others) == 0 {
		return all, nil
	}
	folders, err := e.q.FoldersByID(ctx, others)
	if err != nil {
		return nil, err
	}
	for _, row := range folders {
		all[row.Folder.ID] = DICOMNode{ID: row.Folder.ID, Name: row.Name, Folder: &row.Folder, Usage: row.FolderUsage, CreatedAt: row.CreatedAt}
	}
	for _, id := range others {
		if all[id].Folder == nil {
			return nil, fmt.Errorf("DICOM node %d: %w", id, ErrNotFound)
		}
	}
	return all, nil
}

// peer tells the door how to reach a server.
func (e *Engine) peer(n DICOMNode) pacs.Peer {
	s := n.Server
	calling := s.CallingAeTitle
	if calling == "" {
		calling = e.cfg.AETitle
	}
	peer := pacs.Peer{
		ServerID: s.ID, Name: n.Name, Addr: net.JoinHostPort(s.Host, fmt.Sprint(s.Port)), CalledAE: s.AeTitle, CallingAE: calling,
		MaxPDU: uint32(s.MaxPdu), IdleTimeout: time.Duration(s.IdleTimeoutS) * time.Second,
	}
	if s.Tls {
		peer.TLS = func() (*tls.Config, error) { return e.clientTLS(*s) }
	}
	return peer
}
