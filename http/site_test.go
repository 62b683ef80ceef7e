// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/mail"
	"github.com/adit-go/adit/people"
)

func collect[T any](list iter.Seq2[T, error]) (all []T, err error) {
	for item, err := range list {
		if err != nil {
			return nil, err
		}
		all = append(all, item)
	}
	return all, nil
}

// audited runs do, and gives the actions that it left in the audit log.
func (s *site) audited(do func()) (actions []string) {
	s.t.Helper()
	var last int64
	require.NoError(s.t, s.pool.QueryRow(s.t.Context(), "SELECT coalesce(max(id), 0) FROM audit").Scan(&last))
	do()
	rows, err := s.pool.Query(s.t.Context(), "SELECT action, detail FROM audit WHERE id > $1 ORDER BY id", last)
	require.NoError(s.t, err)
	defer rows.Close()
	for rows.Next() {
		var action, detail string
		require.NoError(s.t, rows.Scan(&action, &detail))
		actions = append(actions, action+" "+detail)
	}
	require.NoError(s.t, rows.Err())
	return actions
}

var anyJob = client.NewJob{
	Kind: "selective_transfer", Source: "PACS 1", Destination: "PACS 2",
	Studies: []client.NewStudy{{StudyInstanceUID: "1.2.3"}},
}

// TestMaintenance: people without staff rights are told to come back later, by every route but those that say who they
// are and why; staff works on, and what runs is left alone.
func TestMaintenance(t *testing.T) {
	s := newSite(t)
	other := s.otherUser()
	_, err := other.Account.Get(t.Context())
	require.NoError(t, err)
	left := s.audited(func() {
		_, err := s.client.Site.ChangeSettings(
			t.Context(), client.SettingsChange{Maintenance: new(true), MaintenanceMessage: new("Back at noon!")},
		)
		require.NoError(t, err)
	})
	require.Equal(t, []string{`settings.change {"maintenance":true,"maintenance_message":"Back at noon!"}`}, left)

	for name, call := range map[string]func() error{
		"jobs":   func() error { _, err := collect(other.Jobs.List(t.Context(), client.JobFilter{})); return err },
		"new":    func() error { _, err := other.Jobs.Create(t.Context(), anyJob, ""); return err },
		"staff":  func() error { _, err := other.Site.Settings(t.Context()); return err },
		"absent": func() error { _, err := other.Jobs.Get(t.Context(), 4711); return err },
	} {
		var p *client.Problem
		require.ErrorAs(t, call(), &p, name)
		require.Equal(t, 503, p.Status, name)
		require.Equal(t, "Back at noon!", p.Detail)
		require.Equal(t, 5*time.Minute, p.RetryAfter)
	}
	_, err = other.Account.Get(t.Context())
	require.NoError(t, err)
	_, err = other.Site.Announcement(t.Context())
	require.NoError(t, err)
	_, err = s.client.Jobs.Get(t.Context(), 4711)
	require.Equal(t, 404, status(err), "staff works on")
	require.Equal(t, 401, s.send("GET", "/api/v1/jobs", "", "Authorization", "").StatusCode)

	_, err = s.client.Site.ChangeSettings(t.Context(), client.SettingsChange{Maintenance: new(false)})
	require.NoError(t, err)
	_, err = other.Jobs.Get(t.Context(), 4711)
	require.Equal(t, 404, status(err))
}

// TestLockedSection: what is locked nobody without staff rights may begin.
func TestLockedSection(t *testing.T) {
	s := newSite(t)
	s.addServer("PACS 1", "PACS1", nil)
	s.addServer("PACS 2", "PACS2", nil)
	other := s.otherUser()
	_, err := s.pool.Exec(t.Context(), `INSERT INTO group_members SELECT g.id, u.id FROM groups g, users u WHERE u.username = 'other';
		UPDATE users SET active_group_id = (SELECT min(id) FROM groups) WHERE username = 'other'`)
	require.NoError(t, err)
	made, err := other.Jobs.Create(t.Context(), anyJob, "")
	require.NoError(t, err)

	_, err = s.client.Site.ChangeSettings(t.Context(), client.SettingsChange{
		LockedSections: &[]string{people.SelectiveTransfer}, SectionMessage: new("the disk is being changed"),
	})
	require.NoError(t, err)
	_, err = other.Jobs.Create(t.Context(), anyJob, "")
	var p *client.Problem
	require.ErrorAs(t, err, &p)
	require.Equal(t, 403, p.Status)
	require.Equal(t, `The section "selective transfer" is locked for now: the disk is being changed.`, p.Detail)
	_, err = other.Jobs.Get(t.Context(), made.ID)
	require.NoError(t, err, "what there is can be seen")
	_, err = other.Jobs.Act(t.Context(), made.ID, client.CancelJob)
	require.NoError(t, err)
	_, err = s.client.Jobs.Create(t.Context(), anyJob, "")
	require.NoError(t, err, "staff may")

	_, err = s.client.Site.ChangeSettings(
		t.Context(), client.SettingsChange{LockedSections: &[]string{people.MassTransfer}},
	)
	require.NoError(t, err)
	_, err = other.Jobs.Create(t.Context(), anyJob, "")
	require.NoError(t, err, "another section")
}

func TestAnnouncement(t *testing.T) {
	s := newSite(t)
	other := s.otherUser()
	a, err := other.Site.Announcement(t.Context())
	require.NoError(t, err)
	require.Empty(t, a.Text)
	require.Nil(t, a.Since)
	left := s.audited(func() {
		_, err := other.Site.Announce(t.Context(), "mine")
		require.Equal(t, 403, status(err))
		require.Equal(t, 403, status(other.Site.EndAnnouncement(t.Context())))
		_, err = s.client.Site.Announce(t.Context(), " \n ")
		require.Equal(t, 422, status(err))
		_, err = s.client.Site.Announce(t.Context(), "a\x00b")
		require.Equal(t, 422, status(err))
		require.Equal(t, 404, status(s.client.Site.EndAnnouncement(t.Context())))
	})
	require.Empty(t, left)
	var began time.Time
	left = s.audited(func() {
		began = time.Now().Truncate(time.Second)
		_, err = s.client.Site.Announce(t.Context(), "Tonight <b>nothing</b> moves.")
		require.NoError(t, err)
	})
	require.Equal(t, []string{"announcement.change {}"}, left)
	a, err = other.Site.Announcement(t.Context())
	require.NoError(t, err)
	require.Equal(t, "Tonight <b>nothing</b> moves.", a.Text)
	require.WithinRange(t, *a.Since, began, time.Now())
	left = s.audited(func() { require.NoError(t, s.client.Site.EndAnnouncement(t.Context())) })
	require.Equal(t, []string{"announcement.delete {}"}, left)
}

func TestSettings(t *testing.T) {
	s := newSite(t)
	set, err := s.client.Site.Settings(t.Context())
	require.NoError(t, err)
	require.Equal(t, 90, set.KeepTaskLogs)
	require.Equal(t, []string{}, set.LockedSections)
	for body, field := range map[string]string{
		`{"locked_sections":["everything"]}`: "locked_sections",
		`{"clean_up_at":"24:01"}`:            "clean_up_at",
		`{"keep_task_logs":-1}`:              "keep_task_logs",
		`{"keep_mails":1.5}`:                 "keep_mails",
		`{"maintenance":"yes"}`:              "maintenance",
		`{"unknown":1}`:                      "unknown",
		`{"maintenance_message":"a\u0007b"}`: "maintenance_message",
		`{"low_disk_gb":1e7}`:                "low_disk_gb",
	} {
		r := s.send("PATCH", "/api/v1/settings", body)
		require.Equal(t, 422, r.StatusCode, body)
		require.Equal(t, field, r.problem(t).Errors[0].Field, body)
	}
	// Changes that come at the same time all count.
	var all sync.WaitGroup
	for _, change := range []client.SettingsChange{
		{KeepTaskLogs: new(1)}, {KeepMails: new(2)}, {KeepSessions: new(3)}, {LowDiskGB: new(4.5)},
	} {
		all.Go(func() {
			if _, err := s.client.Site.ChangeSettings(t.Context(), change); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	set, err = s.client.Site.Settings(t.Context())
	require.NoError(t, err)
	require.Equal(t, []any{1, 2, 3, 4.5, 7}, []any{
		set.KeepTaskLogs, set.KeepMails, set.KeepSessions, set.LowDiskGB, set.KeepQuarantine,
	})
}

// TestBroadcast: a mail to everybody who can get one, each alone.
func TestBroadcast(t *testing.T) {
	s := newSite(t)
	other := s.otherUser()
	send := client.Broadcast{Subject: "Tonight", Text: "ADIT is away from 20:00."}
	_, err := s.client.Mails.Send(t.Context(), send)
	require.Equal(t, 409, status(err))
	_, err = s.pool.Exec(t.Context(), `INSERT INTO users (username, mail, is_active) VALUES
		('a', 'A@example.org', true), ('b', 'b@example.org', true), ('again', 'a@example.org', true), ('gone', 'gone@example.org', false), ('bad', 'no address', true)`)
	require.NoError(t, err)
	_, err = other.Mails.Send(t.Context(), send)
	require.Equal(t, 403, status(err))
	left := s.audited(func() {
		sent, err := s.client.Mails.Send(t.Context(), send)
		require.NoError(t, err)
		require.Equal(t, 2, sent.Recipients)
		require.Contains(t, sent.Warning, "no mail server")
	})
	require.Equal(t, []string{`mail.broadcast {"recipients":2}`}, left)

	sink := testpeer.Mail(t, nil)
	m, err := mail.New(s.pool, people.NewKey()).NewMailer(mail.Config{
		Host: sink.Host, Port: sink.Port, TLS: mail.SMTPPlain, From: "adit@example.org", Poll: 10 * time.Millisecond,
	}, testpeer.Log(t))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	var running sync.WaitGroup
	running.Go(func() { m.Run(ctx) })
	defer running.Wait()
	defer cancel()
	letters, err := sink.Wait(ctx, 2)
	require.NoError(t, err)
	to := map[string]bool{}
	for _, l := range letters {
		require.Len(t, l.To, 1)
		require.Equal(t, "ADIT is away from 20:00.\n", l.Body)
		to[strings.ToLower(l.To[0])] = true
		for _, someone := range []string{"a@example.org", "b@example.org"} {
			if !strings.EqualFold(l.To[0], someone) {
				// a Message-ID may end like an address
				require.NotContains(t, strings.ToLower(fmt.Sprint(l.Header)), "<"+someone+">")
			}
		}
	}
	require.Len(t, to, 2)
	mails, err := collect(s.client.Mails.List(t.Context(), client.MailFilter{}))
	require.NoError(t, err)
	require.Len(t, mails, 2)
	require.Equal(t, "Tonight", mails[0].Subject)
	_, err = collect(other.Mails.List(t.Context(), client.MailFilter{}))
	require.Equal(t, 403, status(err))
}

func TestFolderLimits(t *testing.T) {
	s := newSite(t)
	dir := t.TempDir()
	_, err := s.client.Folders.Add(t.Context(),
		client.FolderSettings{Name: "disk", Path: dir, FolderLimits: client.FolderLimits{QuotaGB: 1, WarnGB: 2}},
	)
	require.Equal(t, 422, status(err))
	f, err := s.client.Folders.Add(t.Context(),
		client.FolderSettings{Name: "disk", Path: dir, FolderLimits: client.FolderLimits{QuotaGB: 2, WarnGB: 1}},
	)
	require.NoError(t, err)
	require.Equal(t, client.FolderLimits{QuotaGB: 2, WarnGB: 1}, f.FolderLimits)
	require.Nil(t, f.CountedAt)
	left := s.audited(func() {
		f, err = s.client.Folders.Change(t.Context(), "disk", client.FolderChange{QuotaGB: new(0.0)})
		require.NoError(t, err)
	})
	require.Equal(t, client.FolderLimits{WarnGB: 1}, f.FolderLimits)
	require.Equal(t, []string{`folder.change {"quota_gb":0,"warn_gb":1}`}, left)
	s.addServer("PACS", "PACS", nil)
	for name, want := range map[string]int{"PACS": 404, "nothing": 404} {
		_, err = s.client.Folders.Change(t.Context(), name, client.FolderChange{})
		require.Equal(t, want, status(err))
	}
	_, err = s.otherUser().Folders.Change(t.Context(), "disk", client.FolderChange{})
	require.Equal(t, 403, status(err))
}

func TestStats(t *testing.T) {
	s := newSite(t)
	out, err := s.client.Site.Stats(t.Context(), 3)
	require.NoError(t, err)
	require.Len(t, out.Days, 3)
	require.Equal(t, time.Now().UTC().Format(time.DateOnly), out.Days[2].Day)
	require.Equal(t, "UTC", out.TimeZone)
	for _, days := range []string{"0", "367", "many"} {
		require.Equal(t, 422, s.send("GET", "/api/v1/stats?days="+days, "").StatusCode, days)
	}
	other := s.otherUser()
	_, err = other.Site.Stats(t.Context(), 1)
	require.NoError(t, err)
	_, err = other.Site.HouseKeeping(t.Context())
	require.Equal(t, 403, status(err))
	h, err := s.client.Site.HouseKeeping(t.Context())
	require.NoError(t, err)
	require.Empty(t, h.Warnings)
}
