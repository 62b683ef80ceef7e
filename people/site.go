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

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/version"
)

// Site is what holds for everybody: settings, limits, locked sections, the announcement.
type Site struct{ svc *Service }

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
func (s *Site) Admit(ctx context.Context, user User) error {
	if user.IsStaff || user.IsSuperuser {
		return nil
	}
	settings, err := s.svc.Settings(ctx)
	if err != nil || !settings.Maintenance {
		return err
	}
	if settings.MaintenanceMessage != "" {
		return &Maintenance{settings.MaintenanceMessage}
	}
	return &Maintenance{"ADIT is under maintenance; running transfers continue. Try again later."}
}

// checkSections refuses what begins in sections that are locked, to all but staff. One of them that the user has the
// permission for and that is open is enough.
func (s *Service) checkSections(ctx context.Context, userID int64, sections []string) error {
	if len(sections) == 0 {
		return nil
	}
	settings, err := s.Settings(ctx)
	if err != nil || !slices.ContainsFunc(sections, settings.locked) {
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
	if len(mine) == 0 {
		return settings.refusal("this")
	}
	if slices.ContainsFunc(mine, func(p string) bool { return !settings.locked(p) }) {
		return nil
	}
	return settings.refusal(sectionName(mine[0]))
}

// CheckOpen refuses what sets something going again that began in a section which is locked now, to all but staff. Who
// may do it otherwise is for others to say.
func (s *Site) CheckOpen(ctx context.Context, user User, section string) error {
	if user.IsStaff || user.IsSuperuser {
		return nil
	}
	settings, err := s.svc.Settings(ctx)
	if err != nil || !settings.locked(section) {
		return err
	}
	return settings.refusal(sectionName(section))
}

func sectionName(section string) string {
	return fmt.Sprintf("the section %q", strings.ReplaceAll(section, "_", " "))
}

func (s Settings) locked(section string) bool { return slices.Contains(s.LockedSections, section) }

func (s Settings) refusal(what string) *Denied {
	if s.SectionMessage != "" {
		return &Denied{Reason: what + " is locked for now: " + s.SectionMessage, Locked: true}
	}
	return &Denied{
		Reason: what + " is locked for now; try again later, or ask your administrator", Locked: true,
	}
}

// Announcement is shown to everybody who is logged in.
type Announcement struct {
	Text  string    `json:"text"`
	Since time.Time `json:"since"`
}

const announcementSetting = "announcement"

// Version tells an announcement apart from the one before.
func (a Announcement) Version() string { return version.Of(a) }

// Announcement returns what is announced; an empty text if nothing is.
func (s *Site) Announcement(ctx context.Context) (a Announcement, err error) {
	value, err := s.svc.q.GetSetting(ctx, announcementSetting)
	if errors.Is(err, pgx.ErrNoRows) {
		return a, nil
	}
	if err == nil {
		err = json.Unmarshal(value, &a)
	}
	return a, err
}

// Announce puts an announcement in the place of the last one. It is for staff.
func (s *Site) Announce(ctx context.Context, user User, text string) (Announcement, error) {
	if err := s.svc.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return Announcement{}, err
	}
	if text = strings.TrimSpace(text); text == "" {
		return Announcement{},
			&refusal.Invalid{Field: "text", Reason: "an announcement needs a text; to end one, delete it"}
	}
	if err := validMessage("text", text); err != nil {
		return Announcement{}, err
	}
	a := Announcement{Text: text, Since: time.Now().UTC().Truncate(time.Second)}
	value, err := json.Marshal(a)
	if err != nil {
		return Announcement{}, err
	}
	return a, s.svc.inTx(ctx, func(q *db.Queries) error {
		// a row to lock, where there is none
		if err := q.InsertSetting(
			ctx, db.InsertSettingParams{Key: announcementSetting, Value: []byte("{}")},
		); err != nil {
			return err
		}
		if err := checkAnnouncement(ctx, q); err != nil {
			return err
		}
		if err := q.PutSetting(ctx, db.PutSettingParams{Key: announcementSetting, Value: value}); err != nil {
			return err
		}
		return audit.Record(ctx, q, audit.Entry{Action: "announcement.change", Object: "announcement"})
	})
}

// EndAnnouncement ends the announcement; refusal.ErrNotFound if there is none. It is for staff.
func (s *Site) EndAnnouncement(ctx context.Context, user User) error {
	if err := s.svc.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return err
	}
	return s.svc.inTx(ctx, func(q *db.Queries) error {
		if err := checkAnnouncement(ctx, q); err != nil {
			return err
		}
		n, err := q.DeleteSetting(ctx, announcementSetting)
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("an announcement: %w", refusal.ErrNotFound)
		}
		return audit.Record(ctx, q, audit.Entry{Action: "announcement.delete", Object: "announcement"})
	})
}

// checkAnnouncement locks the announcement, and refuses what is done to it if the caller expects another one.
func checkAnnouncement(ctx context.Context, q *db.Queries) error {
	value, err := q.LockSetting(ctx, announcementSetting)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // there is nothing to end, which is said elsewhere
	}
	var a Announcement
	if err == nil {
		err = json.Unmarshal(value, &a)
	}
	if err != nil {
		return err
	}
	return version.Check(ctx, a.Version())
}
