// SPDX-License-Identifier: AGPL-3.0-or-later

package nodes

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

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/web"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/internal/page"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/text"
	"github.com/adit-go/adit/internal/version"
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
	Of        int               // as many its schedule allows now
	Down      string            // why it is not available now; empty: it is available
	NextProbe time.Time         // when it is asked for more
	Pressed   bool              // it has refused something lately: a success there is to be taken down
	Verify    Verify            // of a server, as a destination
	Direct    map[string]string // of a server, as Retrieve.Direct
	CreatedAt time.Time
}

// source reports whether a server can be searched and read.
func (s Supports) source() bool { return s.find() && s.retrieve() }

// find reports whether a server can be searched.
func (s Supports) find() bool { return s.StudyRootFind || s.PatientRootFind || s.QIDO }

// destination reports whether a server takes instances.
func (s Supports) destination() bool { return s.Store || s.STOW }

// AddServer adds a server and lets the user's active group use it as a source, if it can be searched and read, and as a
// destination, if it takes instances. It is for staff.
func (svc *Service) AddServer(ctx context.Context, user people.User, s NewServer) (DICOMNode, error) {
	if err := svc.People.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return DICOMNode{}, err
	}
	if err := s.validate(); err != nil {
		return DICOMNode{}, err
	}
	var id int64
	err := svc.InTx(ctx, func(q *db.Queries) error {
		var err error
		if id, err = q.InsertDicomNode(ctx, db.InsertDicomNodeParams{Name: s.Name, Kind: "server"}); err != nil {
			return err
		}
		if err = svc.putSettings(ctx, q, id, &s, nil); err != nil {
			return err
		}
		if err = errors.Join(q.InsertServerState(ctx, id), keepCaps(ctx, q, id)); err != nil {
			return err
		}
		entry := audit.Entry{
			Action: "server.create", Object: "server " + s.Name,
			Detail: addressDetail(s.AETitle, s.Host, s.Port, s.DICOMweb.RootURL),
		}
		if err = grant(
			ctx, q, user, id, people.NodeUse{Source: s.Supports.source(), Destination: s.Supports.destination()}, &entry,
		); err != nil {
			return err
		}
		return audit.Record(ctx, q, entry)
	})
	if err != nil {
		return DICOMNode{}, taken(err, s.Name)
	}
	svc.Signals.ServersChanged()
	return svc.ByID(ctx, id)
}

// AddressDetail says in the audit log where a server is.
func (n DICOMNode) AddressDetail() map[string]any {
	s := n.Server
	return addressDetail(s.AeTitle, s.Host, int(s.Port), s.WebRootUrl)
}

func addressDetail(title, host string, port int, root string) map[string]any {
	out := map[string]any{"ae_title": title, "host": host, "port": port}
	if root != "" {
		out["root_url"] = root
	}
	return out
}

func validateNodeName(name string) error {
	if len(name) > 64 || strings.ContainsRune(name, '/') || !text.Name(name) {
		return &refusal.Invalid{
			Field: "name",
			Reason: "a name has 1 to 64 characters, without a slash or invisible characters, and with single " +
				"spaces only between words",
		}
	}
	return nil
}

// AddFolder adds a folder and lets the user's active group use it as a destination. The folder must be there and
// writable. It is for staff.
func (svc *Service) AddFolder(ctx context.Context, user people.User, f NewFolder) (DICOMNode, error) {
	if err := svc.People.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return DICOMNode{}, err
	}
	if err := validateNodeName(f.Name); err != nil {
		return DICOMNode{}, err
	}
	if err := f.validate(); err != nil {
		return DICOMNode{}, err
	}
	if !filepath.IsAbs(f.Path) {
		return DICOMNode{}, &refusal.Invalid{Field: "path", Reason: "give an absolute path"}
	}
	path := filepath.Clean(f.Path)
	if err := svc.checkPlace(user, path); err != nil {
		return DICOMNode{}, err
	}
	if err := CheckFolder(path, path); err != nil {
		reason := err.Error()
		if svc.Config.Cluster {
			reason += ". If only other members of the cluster see it, add it through one of them"
		}
		return DICOMNode{}, &refusal.Invalid{Field: "path", Reason: reason}
	}
	var id int64
	err := svc.InTx(ctx, func(q *db.Queries) error {
		if err := q.LockFolderPlaces(ctx); err != nil {
			return err
		}
		err := checkAlone(ctx, q, path)
		if err != nil {
			return err
		}
		if id, err = q.InsertDicomNode(ctx, db.InsertDicomNodeParams{Name: f.Name, Kind: "folder"}); err != nil {
			return err
		}
		if _, err = q.InsertFolder(ctx, db.InsertFolderParams{ID: id, Path: path}); err != nil {
			return err
		}
		if err = q.InsertFolderUsage(ctx, id); err != nil {
			return err
		}
		if err = q.SetQuota(ctx, db.SetQuotaParams{ID: id, QuotaGb: f.QuotaGB, WarnGb: f.WarnGB}); err != nil {
			return err
		}
		entry := audit.Entry{
			Action: "folder.create", Object: "folder " + f.Name,
			Detail: map[string]any{"path": path, "quota_gb": f.QuotaGB, "warn_gb": f.WarnGB},
		}
		if err = grant(ctx, q, user, id, people.NodeUse{Destination: true}, &entry); err != nil {
			return err
		}
		if err = audit.Record(ctx, q, entry); err != nil {
			return err
		}
		return setUpPath(ctx, q, id, path, false)
	})
	if err != nil {
		return DICOMNode{}, taken(err, f.Name)
	}
	return svc.ByID(ctx, id)
}

// grant lets the user's active group use a node, as nobody could otherwise, and says so in the entry of what was done.
func grant(
	ctx context.Context, q *db.Queries, user people.User, node int64, use people.NodeUse, entry *audit.Entry,
) error {
	if user.ActiveGroupID == nil || use == (people.NodeUse{}) {
		return nil
	}
	group, err := q.WidenNodeAccess(ctx, db.WidenNodeAccessParams{
		GroupID: *user.ActiveGroupID, DicomNodeID: node, IsSource: use.Source, IsDestination: use.Destination,
	})
	entry.Detail["group"], entry.Granted = group, use.Words()
	return err
}

// CheckFolder reports whether files can be created in an existing folder. An error calls it by the name given: a path
// is for staff only.
func CheckFolder(path, called string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("there is no folder %s; create it, or mount the disk that holds it", called)
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
		return fmt.Errorf(
			"the folder %s isn't writable for the user that runs ADIT; change its owner or permissions: %w",
			called, errors.Unwrap(err),
		)
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// taken turns a violated uniqueness into a sentence.
func taken(err error, name string) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != db.UniqueViolation {
		return err
	}
	switch pg.ConstraintName {
	case "servers_ae_title_key":
		return &refusal.Conflict{Reason: "another server already has this AE title; AE titles are unique"}
	case "folders_path_key":
		return &refusal.Conflict{Reason: "another folder already has this path"}
	default:
		return &refusal.Conflict{Reason: fmt.Sprintf("a DICOM node named %q already exists; choose another name", name)}
	}
}

// Filter chooses DICOM nodes for a list. Empty fields match everything.
type Filter struct {
	Order               page.Order // by id or name
	Kind                string     // server or folder
	Source, Destination *bool      // whether the user may use them so
	Limit               int
}

// List returns DICOM nodes. What it is filtered by is what the user may do.
func (svc *Service) List(ctx context.Context, user people.User, f Filter) ([]DICOMNode, error) {
	rows, err := svc.Q.ListDicomNodes(ctx, db.ListDicomNodesParams{
		Kind: f.Kind, UserID: user.ID, Source: f.Source, Destination: f.Destination, Sort: f.Order.By,
		Down: f.Order.Down, Value: f.Order.Value, After: f.Order.After, Max: int32(f.Limit),
	})
	if err != nil {
		return nil, err
	}
	ids := make([]int64, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	all, err := svc.ByIDs(ctx, ids...)
	nodes := make([]DICOMNode, len(ids))
	for i, id := range ids {
		nodes[i] = all[id]
	}
	return nodes, err
}

// ByName finds a server or folder by its name, in any case of letters.
func (svc *Service) ByName(ctx context.Context, name string) (DICOMNode, error) {
	row, err := svc.Q.GetDicomNodeByName(ctx, name)
	if err != nil {
		return DICOMNode{}, refusal.NotFound(err, "DICOM node", fmt.Sprintf("%q", name))
	}
	return svc.ByID(ctx, row.ID)
}

// ByAETitle finds a server by its AE title.
func (svc *Service) ByAETitle(ctx context.Context, aeTitle string) (DICOMNode, error) {
	id, err := svc.Q.ServerByAETitle(ctx, aeTitle)
	if errors.Is(err, pgx.ErrNoRows) {
		return DICOMNode{}, NoServer(aeTitle)
	}
	if err != nil {
		return DICOMNode{}, err
	}
	return svc.ByID(ctx, id)
}

// ByAETitleFor finds the server of an AE title that a user may use, if they have a permission. One to which they have
// no access, as access asks for it, is not there for them. Errors: *people.Denied without the permission,
// refusal.ErrNotFound.
func (svc *Service) ByAETitleFor(
	ctx context.Context, user people.User, permission, aeTitle string, access func(node int64) people.Action,
) (DICOMNode, error) {
	if err := svc.People.Check(ctx, user.ID, people.Action{Permissions: []string{permission}}); err != nil {
		return DICOMNode{}, err
	}
	node, err := svc.ByAETitle(ctx, aeTitle)
	if err != nil {
		return DICOMNode{}, err
	}
	err = svc.People.Check(ctx, user.ID, access(node.ID))
	if _, denied := errors.AsType[*people.Denied](err); denied {
		err = NoServer(aeTitle)
	}
	if err != nil {
		return DICOMNode{}, err
	}
	return node, nil
}

// AsSource is access to read from a node.
func AsSource(node int64) people.Action { return people.Action{Source: node} }

// AsDestination is access to write to a node.
func AsDestination(node int64) people.Action { return people.Action{Destination: node} }

// NoServer says that there is no server of an AE title, for somebody.
func NoServer(aeTitle string) error {
	return fmt.Errorf("DICOM server with AE title %q: %w", aeTitle, refusal.ErrNotFound)
}

// Delete removes a server or folder that no job names. It is for staff, like AddServer and AddFolder.
func (svc *Service) Delete(ctx context.Context, user people.User, id int64) error {
	if err := svc.People.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return err
	}
	err := svc.InTx(ctx, func(q *db.Queries) error {
		node, err := q.GetDicomNode(ctx, id)
		if err != nil {
			return refusal.NotFound(err, "DICOM node", id)
		}
		if err := checkVersion(ctx, q, node); err != nil {
			return err
		}
		n, err := q.DeleteDicomNode(ctx, id)
		if err == nil && n == 0 {
			err = refusal.ErrNotFound
		}
		if err != nil {
			return err
		}
		return audit.Record(ctx, q, audit.Entry{Action: node.Kind + ".delete", Object: node.Kind + " " + node.Name})
	})
	if db.Violates(err, db.ForeignKeyViolation) {
		return &refusal.Conflict{Reason: "jobs name this DICOM node; delete them first (adit job delete)"}
	}
	if err != nil {
		return err
	}
	svc.Signals.ServersChanged()
	return nil
}

// checkVersion locks a DICOM node, and refuses what is done to it if the caller expects another version.
func checkVersion(ctx context.Context, q *db.Queries, node db.DicomNode) error {
	n := DICOMNode{ID: node.ID, Name: node.Name}
	if node.Kind == "folder" {
		f, err := q.LockFolder(ctx, node.ID)
		if err != nil {
			return refusal.NotFound(err, "DICOM node", node.ID)
		}
		n.Folder = &f
		return version.Check(ctx, n.Version())
	}
	s, err := q.LockServer(ctx, node.ID)
	if err != nil {
		return refusal.NotFound(err, "DICOM node", node.ID)
	}
	n.Server = &s
	if err := n.loadVerify(ctx, q); err != nil {
		return err
	}
	return version.Check(ctx, n.Version())
}

// ByID returns a DICOM node.
func (svc *Service) ByID(ctx context.Context, id int64) (DICOMNode, error) {
	nodes, err := svc.ByIDs(ctx, id)
	return nodes[id], err
}

// ByIDs returns the nodes with these IDs; ErrNotFound if there is one less.
func (svc *Service) ByIDs(ctx context.Context, ids ...int64) (map[int64]DICOMNode, error) {
	all := make(map[int64]DICOMNode, len(ids))
	servers, err := svc.Q.ServersByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, row := range servers {
		n := DICOMNode{
			ID: row.Server.ID, Name: row.Name, Server: &row.Server,
			Paused: row.ServerState.Paused, CreatedAt: row.CreatedAt,
			Pressed: row.ServerState.Allowance != nil || row.ServerState.RefusedTask != nil,
			Verify:  Defaults().Verify,
		}
		n.Takes, n.NextProbe = takes(row.ServerState)
		n.Of, n.Down = int(max(row.ServerState.BatchCap, row.ServerState.OutsideCap)), downReason(row.ServerState)
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
	folders, err := svc.Q.FoldersByID(ctx, others)
	if err != nil {
		return nil, err
	}
	for _, row := range folders {
		all[row.Folder.ID] = DICOMNode{
			ID: row.Folder.ID, Name: row.Name, Folder: &row.Folder,
			Usage: row.FolderUsage, CreatedAt: row.CreatedAt,
		}
	}
	for _, id := range others {
		if all[id].Folder == nil {
			return nil, fmt.Errorf("DICOM node %d: %w", id, refusal.ErrNotFound)
		}
	}
	return all, nil
}

// Peer tells the door how to reach a server. It has no address if the server is reached by DICOMweb alone.
func (svc *Service) Peer(n DICOMNode) door.Peer {
	s := n.Server
	calling := s.CallingAeTitle
	if calling == "" {
		calling = svc.Config.AETitle
	}
	peer := door.Peer{
		ServerID: s.ID, Name: n.Name,
		CalledAE: s.AeTitle, CallingAE: calling,
		MaxPDU: uint32(s.MaxPdu), IdleTimeout: time.Duration(s.IdleTimeoutS) * time.Second,
	}
	if s.Host != "" {
		peer.Addr = net.JoinHostPort(s.Host, fmt.Sprint(s.Port))
	}
	if at, ok := svc.Web(n); ok {
		peer.Web = func() (web.Config, error) { return svc.webConfig(at) }
	}
	if s.Tls {
		peer.TLS = func() (*tls.Config, error) { return clientTLS(svc.People, *s) }
	}
	return peer
}
