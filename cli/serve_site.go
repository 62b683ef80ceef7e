// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/people"
)

// siteFlags say where the site is, and how its mails go out.
type siteFlags struct {
	TimeZone         string `name:"timezone" env:"ADIT_TIMEZONE" default:"UTC" placeholder:"ZONE" help:"Time zone of the site's days, as in Europe/Berlin (${default}): for the daily clean-up and for figures by day."`
	SMTPHost         string `name:"smtp-host" env:"ADIT_SMTP_HOST" placeholder:"HOST" help:"Mail server; without one mails wait, and are given up after some days."`
	SMTPPort         int    `name:"smtp-port" env:"ADIT_SMTP_PORT" placeholder:"PORT" help:"Its port: 587, 465 or 25 by default, as --smtp-tls goes."`
	SMTPTLS          string `name:"smtp-tls" env:"ADIT_SMTP_TLS" enum:"starttls,tls,none" default:"starttls" help:"starttls (default): nothing is sent before TLS has begun; tls: from the first byte; none."`
	SMTPUser         string `name:"smtp-user" env:"ADIT_SMTP_USER" placeholder:"NAME" help:"Name to log in there with; empty: it asks for none."`
	SMTPPasswordFile string `name:"smtp-password-file" env:"ADIT_SMTP_PASSWORD_FILE" type:"path" placeholder:"FILE" help:"File that holds the password for it."`
	MailFrom         string `name:"mail-from" env:"ADIT_MAIL_FROM" placeholder:"ADDRESS" help:"Address that mails come from, as in adit@example.org or 'ADIT <adit@example.org>'; required with --smtp-host."`
}

func (f siteFlags) zone() (*time.Location, error) {
	zone, err := time.LoadLocation(f.TimeZone)
	if err != nil || f.TimeZone == "Local" || f.TimeZone == "" {
		return nil, usage("--timezone: there is no time zone %q; give one such as Europe/Berlin", f.TimeZone)
	}
	return zone, nil
}

// startSite starts what serves the site as a whole: the mailer and the house-keeping.
func (s *server) startSite(ctx context.Context) error {
	var mailer *people.Mailer
	if f := s.cmd.siteFlags; f.SMTPHost != "" {
		var err error
		if mailer, err = s.newMailer(f); err != nil {
			return err
		}
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	var all sync.WaitGroup
	all.Go(func() {
		s.engine.RunChores(ctx, engine.Chores{DataDir: s.cmd.DataDir, Node: machineName()})
	})
	if mailer != nil {
		all.Go(func() { mailer.Run(ctx) })
	}
	s.atEnd(func() {
		stop()
		within(endGrace, all.Wait)
	})
	return nil
}

func (s *server) newMailer(f siteFlags) (*people.Mailer, error) {
	if f.MailFrom == "" {
		return nil, usage("--mail-from is needed with --smtp-host: the address that mails come from")
	}
	cfg := people.MailerConfig{Host: f.SMTPHost, Port: f.SMTPPort, TLS: f.SMTPTLS, User: f.SMTPUser, From: f.MailFrom}
	if s.outside.public != nil {
		cfg.PublicURL = s.outside.public.String()
	}
	if f.SMTPPasswordFile != "" {
		text, err := os.ReadFile(f.SMTPPasswordFile)
		if err != nil {
			return nil, fmt.Errorf("the password for the mail server can't be read: %w", err)
		}
		cfg.Password = strings.TrimRight(string(text), "\r\n")
	}
	return s.people.NewMailer(cfg, s.log)
}

func machineName() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}
