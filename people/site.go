// SPDX-License-Identifier: AGPL-3.0-or-later

package people

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
)

// siteCopy is a copy of the settings, for a moment.
type siteCopy struct {
	mu       sync.Mutex
	settings *Settings
	read     time.Time
}

func (c *siteCopy) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settings = nil
}

// Maintenance is why somebody without staff rights can't come in for now.
type Maintenance struct {
	Reason string
}

func (m *Maintenance) Error() string { return m.Reason }

// Admit is asked at each request: a *Maintenance while only staff may come in.
func (s *Service) Admit(ctx context.Context, user User) error {
	if user.IsStaff || user.IsSuperuser {
		return nil
	}
	settings, err := s.Settings(ctx)
	if err != nil || !settings.Maintenance {
		return err
	}
	if settings.MaintenanceMessage != "" {
		return &Maintenance{settings.MaintenanceMessage}
	}
	return &Maintenance{"ADIT is being maintained; transfers that were asked for go on. Try again later."}
}

// checkSections refuses what begins in sections that are locked, to all but staff. One of them that the user has the permission for and that is
// open is enough.
func (s *Service) checkSections(ctx context.Context, userID int64, sections []string) error {
	if len(sections) == 0 {
		return nil
	}
	settings, err := s.Settings(ctx)
	if err != nil || !slices.ContainsFunc(sections, func(p string) bool { return slices.Contains(settings.LockedSections, p) }) {
		return err
	}
	user, err := s.q.GetUser(ctx, userID)
	if err != nil || user.IsStaff || user.IsSuperuser {
		return err
	}
	rows, err := s.q.Lacking(ctx, lackingParams([]Deed{{userID, Action{Sections: sections}}}))
	if err != nil {
		return err
	}
	mine := held(rows[0], sections)
	if slices.ContainsFunc(mine, func(p string) bool { return !slices.Contains(settings.LockedSections, p) }) {
		return nil
	}
	reason := "this is locked for now"
	if len(mine) > 0 {
		reason = fmt.Sprintf("the section %q is locked for now", strings.ReplaceAll(mine[0], "_", " "))
	}
	if settings.SectionMessage != "" {
		return &Denied{Reason: reason + ": " + settings.SectionMessage}
	}
	return &Denied{Reason: reason + "; try again later, or ask your administrator"}
}

// Announcement is shown to everybody who is logged in.
type Announcement struct {
	Text  string    `json:"text"`
	Since time.Time `json:"since"`
}

const announcementSetting = "announcement"

// Announcement gives what is announced; an empty text if nothing is.
func (s *Service) Announcement(ctx context.Context) (a Announcement, err error) {
	value, err := s.q.GetSetting(ctx, announcementSetting)
	if errors.Is(err, pgx.ErrNoRows) {
		return a, nil
	}
	if err == nil {
		err = json.Unmarshal(value, &a)
	}
	return a, err
}

// Announce puts an announcement in the place of the last one. It is for staff.
func (s *Service) Announce(ctx context.Context, user User, text string) (Announcement, error) {
	if err := s.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return Announcement{}, err
	}
	if text = strings.TrimSpace(text); text == "" {
		return Announcement{}, &Invalid{Field: "text", Reason: "an announcement needs a text; to end one, delete it"}
	}
	if err := validMessage("text", text); err != nil {
		return Announcement{}, err
	}
	a := Announcement{Text: text, Since: time.Now().UTC().Truncate(time.Second)}
	value, err := json.Marshal(a)
	if err != nil {
		return Announcement{}, err
	}
	return a, s.inTx(ctx, func(q *db.Queries) error {
		if err := q.PutSetting(ctx, db.PutSettingParams{Key: announcementSetting, Value: value}); err != nil {
			return err
		}
		return Record(ctx, q, Entry{Action: "announcement.change", Object: "announcement"})
	})
}

// EndAnnouncement ends the announcement; ErrNotFound if there is none. It is for staff.
func (s *Service) EndAnnouncement(ctx context.Context, user User) error {
	if err := s.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return err
	}
	return s.inTx(ctx, func(q *db.Queries) error {
		n, err := q.DeleteSetting(ctx, announcementSetting)
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("an announcement: %w", ErrNotFound)
		}
		return Record(ctx, q, Entry{Action: "announcement.delete", Object: "announcement"})
	})
}

// Broadcast posts a mail to everybody who has an address, none of whom sees the others, and tells how many they are. It is for
// staff.
func (s *Service) Broadcast(ctx context.Context, user User, subject, text string) (n int, err error) {
	if err := s.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return 0, err
	}
	if subject, text = strings.TrimSpace(subject), strings.TrimSpace(text); subject == "" || text == "" {
		return 0, &Invalid{Field: "subject", Reason: "a mail needs a subject and a text"}
	}
	err = s.inTx(ctx, func(q *db.Queries) error {
		mails, err := q.AllMails(ctx)
		if err != nil {
			return err
		}
		to := valid(mails)
		if n = len(to); n == 0 {
			return &Conflict{Reason: "nobody here has an address for mails"}
		}
		if err := Post(ctx, q, Mail{To: to, Subject: subject, Body: text + "\n"}); err != nil {
			return err
		}
		return Record(ctx, q, Entry{Action: "mail.broadcast", Object: "everybody", Detail: map[string]any{"recipients": n}})
	})
	return n, err
}
