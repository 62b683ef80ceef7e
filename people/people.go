// SPDX-License-Identifier: AGPL-3.0-or-later

// Package people manages the users and what they may do: users, groups, projects, tokens, the server key, and the one
// permission check that every entry into ADIT uses.
package people

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/mail"
	"github.com/adit-go/adit/people/apiuse"
)

// Permissions of a group.
const (
	SelectiveTransfer       = "selective_transfer"
	BatchQuery              = "batch_query"
	BatchTransfer           = "batch_transfer"
	MassTransfer            = "mass_transfer"
	Explorer                = "explorer"
	Upload                  = "upload"
	DirectDownload          = "direct_download"
	DICOMwebQuery           = "dicomweb_query"
	DICOMwebRetrieve        = "dicomweb_retrieve"
	DICOMwebStore           = "dicomweb_store"
	Urgent                  = "urgent"
	UrgentOutsideWindows    = "urgent_outside_windows"
	TransferUnpseudonymized = "transfer_unpseudonymized"
	Tokens                  = "tokens"
	TokensWithoutExpiry     = "tokens_without_expiry"
	Linkage                 = "linkage"    // see and fill the linkage tables
	Quarantine              = "quarantine" // see, release and delete unsolicited instances
)

var allPermissions = []string{
	SelectiveTransfer, BatchQuery, BatchTransfer, MassTransfer, Explorer, Upload, DirectDownload, DICOMwebQuery,
	DICOMwebRetrieve, DICOMwebStore, Urgent, UrgentOutsideWindows,
	TransferUnpseudonymized, Tokens, TokensWithoutExpiry, Linkage, Quarantine,
}

// AllPermissions are what a group can be given.
func AllPermissions() []string { return slices.Clone(allPermissions) }

// User is the caller.
type User struct {
	ID            int64
	Username      string
	IsStaff       bool
	IsSuperuser   bool
	ActiveGroupID *int64
}

// Service answers questions about people from the database.
type Service struct {
	Users         *Users
	Groups        *Groups
	Registrations *Registrations
	Passwords     *Passwords
	Sessions      *Sessions
	Tokens        *APITokens
	Mails         *Mails
	Site          *Site
	Use           *apiuse.Service

	pool      *pgxpool.Pool
	q         *db.Queries
	audit     *audit.Service
	mail      *mail.Service
	key       Key
	hasher    *hasher
	site      siteCopy
	publicURL string // of the site, for links in mails; empty: not told
	timeZone  string // of the site
}

// New returns a service on a migrated database.
func New(pool *pgxpool.Pool, key Key) *Service {
	s := &Service{
		pool: pool, q: db.New(pool), audit: audit.New(pool),
		mail: mail.New(pool, key), key: key, hasher: newHasher(),
		timeZone: "UTC",
	}
	s.Users, s.Groups, s.Registrations, s.Passwords = &Users{s}, &Groups{s}, &Registrations{s}, &Passwords{s}
	s.Sessions, s.Tokens, s.Mails, s.Site = &Sessions{s}, &APITokens{s}, &Mails{s}, &Site{s}
	s.Use = apiuse.New(s.q)
	return s
}

// SetPublicURL sets the address at which people find ADIT, such as https://adit.example.org. It is called once, before
// the first request.
func (s *Service) SetPublicURL(address string) { s.publicURL = strings.TrimSuffix(address, "/") }

// SetTimeZone sets the time zone of the site, such as Europe/Berlin. It is called once, before the first request.
func (s *Service) SetTimeZone(name string) { s.timeZone = name }

// Collectors returns the metrics of the audit log and of the outbox, to be registered once.
func (s *Service) Collectors() []prometheus.Collector {
	return append(s.audit.Collectors(), s.mail.Collectors()...)
}

// inTx runs fn in a transaction, again if PostgreSQL gave it up.
func (s *Service) inTx(ctx context.Context, fn func(q *db.Queries) error) error {
	return db.InTx(ctx, s.pool, func(tx pgx.Tx) error { return fn(s.q.WithTx(tx)) })
}

// Seal encrypts a secret that the database keeps, for one purpose.
func (s *Service) Seal(purpose string, plain []byte) []byte { return s.key.Seal(purpose, plain) }

// Open decrypts what Seal made for the same purpose.
func (s *Service) Open(purpose string, sealed []byte) ([]byte, error) {
	return s.key.Open(purpose, sealed)
}

// SealName encrypts a name that addresses contain, for one purpose.
func (s *Service) SealName(purpose, name string) string { return s.key.SealName(purpose, name) }

// OpenName decrypts what SealName made for the same purpose.
func (s *Service) OpenName(purpose, sealed string) (string, error) {
	return s.key.OpenName(purpose, sealed)
}

const fingerprintSetting = "server_key_fingerprint"

// projectKeyPurpose is what projects' keys are sealed for (engine.ProjectKeyPurpose).
const projectKeyPurpose = "project"

// CheckKey refuses a database whose secrets were sealed with another key, and leaves this key's fingerprint in a new
// one.
func (s *Service) CheckKey(ctx context.Context) error {
	fingerprint, err := storedFingerprint(ctx, s.q)
	if err != nil {
		return err
	}
	sealed, err := s.q.SealedWithKey(ctx)
	if err != nil {
		return err
	}
	if fingerprint == "" {
		if sealed.Projects > 0 {
			if _, err := s.key.Open(projectKeyPurpose, sealed.Example); err != nil {
				return s.otherKey("another", sealed)
			}
		}
		value, err := json.Marshal(s.key.Fingerprint())
		if err != nil {
			return err
		}
		if err := s.q.InsertSetting(ctx, db.InsertSettingParams{Key: fingerprintSetting, Value: value}); err != nil {
			return err
		}
		if fingerprint, err = storedFingerprint(ctx, s.q); err != nil { // another process may have been first
			return err
		}
	}
	if fingerprint != s.key.Fingerprint() {
		return s.otherKey("the one with the fingerprint "+fingerprint, sealed)
	}
	return nil
}

func (s *Service) otherKey(which string, sealed db.SealedWithKeyRow) error {
	return fmt.Errorf("the database does not belong to this server key (fingerprint %s) but to %s: "+
		"%s. Start with that secret.key, from your backup "+
		"or by --secret-key-file; ADIT changed nothing", s.key.Fingerprint(), which, whatIsSealed(sealed))
}

// storedFingerprint returns the fingerprint of the key that a database belongs to; empty: none is written down.
func storedFingerprint(ctx context.Context, q *db.Queries) (fingerprint string, err error) {
	stored, err := q.GetSetting(ctx, fingerprintSetting)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal(stored, &fingerprint); err != nil || fingerprint == "" {
		return "", fmt.Errorf("the setting %s is damaged; restore the database from your backup", fingerprintSetting)
	}
	return fingerprint, nil
}

// Bootstrap makes the first administrator, group, project and token, if there are no users yet. save is given the
// token, which is kept nowhere else, before anything is committed: a token that could not be saved does not exist.
func (s *Service) Bootstrap(ctx context.Context, save func(token string) error) error {
	return s.inTx(ctx, func(q *db.Queries) error {
		if err := q.LockSlots(ctx); err != nil { // two processes may start at once
			return err
		}
		n, err := q.CountUsers(ctx)
		if err != nil || n > 0 {
			return err
		}
		user, err := q.InsertUser(ctx, db.InsertUserParams{Username: "admin", IsStaff: true, IsSuperuser: true})
		if err != nil {
			return err
		}
		if err := s.bootstrapGroup(ctx, q, user.ID); err != nil {
			return err
		}
		token, _, err := newToken(ctx, q, user.ID, "made at the first start", nil)
		if err != nil {
			return err
		}
		return save(token)
	})
}

// bootstrapGroup makes the first group, with every permission and a default project, and its first member.
func (s *Service) bootstrapGroup(ctx context.Context, q *db.Queries, userID int64) error {
	group, err := q.InsertGroup(ctx, "Radiology")
	if err != nil {
		return err
	}
	if err := q.AddGroupMember(ctx, db.AddGroupMemberParams{GroupID: group, UserID: userID}); err != nil {
		return err
	}
	if err := q.SetActiveGroup(ctx, db.SetActiveGroupParams{ID: userID, ActiveGroupID: &group}); err != nil {
		return err
	}
	for _, p := range allPermissions {
		if err := q.GrantPermission(ctx, db.GrantPermissionParams{GroupID: group, Permission: p}); err != nil {
			return err
		}
	}
	return s.Groups.defaultProject(ctx, q, group, "Default")
}
