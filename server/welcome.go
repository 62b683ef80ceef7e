// SPDX-License-Identifier: AGPL-3.0-or-later

package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/internal/files"
)

const (
	demoAdmin    = "admin"
	demoPassword = "admin.password" // in a demo's data directory
)

// welcome lets the first administrator in while nobody has a password: by a code that the command prints, or in a demo
// by a password that was made for it.
func (s *server) welcome(ctx context.Context) error {
	own := ""
	if s.cluster != nil {
		own = s.cluster.Advertise
	}
	others, err := s.engine.Lease.Peers(ctx, own)
	if err != nil {
		return err
	}
	s.warnOf(ctx, others)
	serves := func(m lease.Peer) bool { return slices.Contains(m.Roles, lease.RoleWeb) }
	if !s.has(lease.RoleWeb) || s.cluster != nil && slices.ContainsFunc(others, serves) {
		return nil // another one has printed a code, which a second one would end
	}
	username, code, err := s.people.Passwords.Welcome(ctx)
	if err != nil {
		return err
	}
	if !s.cfg.Demo {
		s.welcomeCode = code
		return nil
	}
	path := filepath.Join(s.cfg.DataDir, demoPassword)
	password, err := files.ReadPrivate(path)
	if errors.Is(err, fs.ErrNotExist) && code != "" {
		password = letters()
		err = files.WritePrivate(path, password+"\n")
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil // somebody chose one
	}
	if err != nil {
		return fmt.Errorf("the password of the demo's administrator can't be kept: %w", err)
	}
	if code != "" {
		err = s.people.Passwords.Reset(ctx, code, password, "", true)
		s.demo.Username, s.demo.Password = username, password
		return err
	}
	if still, err := s.people.Passwords.Is(ctx, demoAdmin, password); err != nil || !still {
		return err
	}
	s.demo.Username, s.demo.Password = demoAdmin, password
	return nil
}

// warnOf tells of members with which this one does not get along.
func (s *server) warnOf(ctx context.Context, others []lease.Peer) {
	for _, m := range others {
		switch {
		case s.cluster == nil:
			s.log.WarnContext(ctx, "a member of a cluster uses this database; unless it was killed a moment ago, start this "+
				"process with --cluster, too: it takes tasks for folders that it may not see", "member", m.Name)
		case m.Name == s.name:
			s.log.WarnContext(ctx, "another member has the same name, so both are drained together; give each its own by "+
				"--member-name", "member", m.Name, "address", m.ActorAddr)
		}
	}
}

// letters returns a password that nobody guesses, of letters that no other one looks like.
func letters() string {
	const alphabet = "abcdefghkmnprstw" // 16, so that each is as likely
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails
	for i, b := range raw {
		raw[i] = alphabet[b%16]
	}
	return string(raw[:])
}
