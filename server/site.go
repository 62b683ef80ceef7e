// SPDX-License-Identifier: AGPL-3.0-or-later

package server

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/adit-go/adit/engine/housekeeping"
	"github.com/adit-go/adit/internal/files"
	"github.com/adit-go/adit/mail"
)

func (c SiteConfig) zone() (*time.Location, error) {
	zone, err := time.LoadLocation(c.TimeZone)
	if err != nil || c.TimeZone == "Local" || c.TimeZone == "" {
		return nil, usage("--timezone: unknown time zone %q; give one such as Europe/Berlin", c.TimeZone)
	}
	return zone, nil
}

// startSite starts what serves the site as a whole: the mailer and the housekeeping.
func (s *server) startSite(ctx context.Context) error {
	var mailer *mail.Mailer
	if c := s.cfg.Site; c.SMTPHost != "" {
		var err error
		if mailer, err = s.newMailer(c); err != nil {
			return err
		}
	}
	dirID, err := dataDirID(s.cfg.DataDir)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	var all sync.WaitGroup
	all.Go(func() {
		s.engine.Housekeeping.RunChores(
			ctx, housekeeping.Chores{DataDir: s.cfg.DataDir, DirID: dirID, Member: s.name},
		)
	})
	all.Go(func() { s.engine.Recurring.Keep(ctx) })
	if mailer != nil {
		all.Go(func() { mailer.Run(ctx) })
	}
	s.atEnd(func() {
		stop()
		within(endGrace, all.Wait)
	})
	return nil
}

func (s *server) newMailer(c SiteConfig) (*mail.Mailer, error) {
	if c.MailFrom == "" {
		return nil, usage("--smtp-host needs --mail-from, the sender address of mails")
	}
	cfg := mail.Config{Host: c.SMTPHost, Port: c.SMTPPort, TLS: c.SMTPTLS, User: c.SMTPUser, From: c.MailFrom}
	if s.outside.public != nil {
		cfg.PublicURL = s.outside.public.String()
	}
	if c.SMTPPasswordFile != "" {
		err := files.CheckSecretFile(c.SMTPPasswordFile)
		var text []byte
		if err == nil {
			text, err = os.ReadFile(c.SMTPPasswordFile)
		}
		if err != nil {
			return nil, fmt.Errorf("the password for the mail server can't be read: %w", err)
		}
		cfg.Password = strings.TrimRight(string(text), "\r\n")
	}
	return s.people.Mail().NewMailer(cfg, s.log)
}
