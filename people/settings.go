// SPDX-License-Identifier: AGPL-3.0-or-later

package people

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/text"
	"github.com/adit-go/adit/internal/version"
)

// Settings are what staff may change about the site while it runs. The database keeps them as JSON.
type Settings struct {
	// Maintenance keeps people without staff rights out; what runs and waits goes on.
	Maintenance        bool   `json:"maintenance"`
	MaintenanceMessage string `json:"maintenance_message"` // shown to them; empty: a sentence of ours
	// LockedSections are permissions whose use nobody without staff rights may begin.
	LockedSections []string `json:"locked_sections"`
	SectionMessage string   `json:"section_message"` // why, added to the refusal

	// What one user may ask for. 0: no bound, besides those of a request.
	MaxJobsPerHour int `json:"max_jobs_per_hour"`
	MaxStudies     int `json:"max_studies"` // of a job
	MaxSeries      int `json:"max_series"`  // that a job names

	// EthicsIDNeeded refuses batch transfers without the number of an application to the ethics committee.
	EthicsIDNeeded bool `json:"ethics_id_needed"`

	LowDiskGB float64 `json:"low_disk_gb"` // free space below which staff gets a mail; 0: never

	// CleanUpAt is the time of the daily clean-up, by the clock on the wall of ADIT_TIMEZONE, as "03:00".
	CleanUpAt string `json:"clean_up_at"`
	// Days that things are kept. 0: for ever, except where it says otherwise.
	KeepSessions    int `json:"keep_sessions"`   // after they ended; 0: not at all
	KeepQuarantine  int `json:"keep_quarantine"` // unsolicited instances
	KeepPartFiles   int `json:"keep_part_files"` // files in folders that nobody finished
	KeepTaskLogs    int `json:"keep_task_logs"`
	KeepIdentifiers int `json:"keep_identifiers"` // patient IDs in jobs that have ended
	KeepMails       int `json:"keep_mails"`       // what became of mails
	// Jobs that have ended, with their tasks. Those that de-identified hold the proof of what was done.
	KeepJobs             int `json:"keep_jobs"`
	KeepDeidentifiedJobs int `json:"keep_deidentified_jobs"`
	KeepLedgers          int `json:"keep_ledgers"`     // of jobs that have ended: so long they can be retried
	KeepStats            int `json:"keep_stats"`       // figures by day
	KeepUnsolicited      int `json:"keep_unsolicited"` // figures of unsolicited instances
}

func defaultSettings() Settings {
	return Settings{
		LockedSections: []string{}, MaxJobsPerHour: 1000, MaxStudies: 100_000,
		MaxSeries: 100_000, LowDiskGB: 10, CleanUpAt: "03:00",
		KeepSessions: 1, KeepQuarantine: 7, KeepPartFiles: 2, KeepTaskLogs: 90, KeepMails: 30,
		KeepJobs: 730, KeepLedgers: 180, KeepUnsolicited: 365,
	}
}

const (
	siteSetting  = "site"
	settingsAge  = time.Second // that a copy may be old, as long as the database answers
	maxMessage   = 1000
	maxKeepDays  = 36500
	maxLowDiskGB = 1e6
	maxQuota     = 1_000_000
)

// Sections are the permissions that can be locked.
var Sections = []string{
	SelectiveTransfer, BatchQuery, BatchTransfer, MassTransfer, Explorer,
	Upload, DirectDownload, DICOMwebQuery, DICOMwebRetrieve, DICOMwebStore,
}

// Settings returns the settings of the site: a change counts at once on this member, and within a second on others.
func (s *Service) Settings(ctx context.Context) (Settings, error) {
	s.site.mu.Lock()
	defer s.site.mu.Unlock()
	if s.site.settings != nil && time.Since(s.site.read) < settingsAge {
		return s.site.settings.clone(), nil
	}
	value, err := s.q.GetSetting(ctx, siteSetting)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return Settings{}, err
	}
	settings, err := decodeSettings(value)
	if err != nil {
		return Settings{}, err
	}
	s.site.settings, s.site.read = &settings, time.Now()
	return settings.clone(), nil
}

// Version tells the settings apart from what they were before.
func (s Settings) Version() string { return version.Of(s) }

func (s Settings) clone() Settings {
	s.LockedSections = slices.Clone(s.LockedSections)
	return s
}

// unlocks reports whether a section is open after a change that was locked before.
func (s Settings) unlocks(after Settings) bool {
	return slices.ContainsFunc(
		s.LockedSections, func(section string) bool { return !slices.Contains(after.LockedSections, section) },
	)
}

func decodeSettings(value []byte) (Settings, error) {
	settings := defaultSettings()
	if value == nil {
		return settings, nil
	}
	if err := json.Unmarshal(value, &settings); err != nil {
		return Settings{}, fmt.Errorf("the settings in the database are damaged: %w", err)
	}
	return settings, nil
}

// ChangeSettings has change work on the settings, and keeps the outcome if it is valid. It is for staff.
func (s *Site) ChangeSettings(ctx context.Context, user User, change func(*Settings)) (Settings, error) {
	if err := s.svc.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return Settings{}, err
	}
	var settings Settings
	err := s.svc.inTx(ctx, func(q *db.Queries) error {
		if err := q.InsertSetting(ctx, db.InsertSettingParams{Key: siteSetting, Value: []byte("{}")}); err != nil {
			return err
		}
		value, err := q.LockSetting(ctx, siteSetting)
		if err != nil {
			return err
		}
		before, err := decodeSettings(value)
		if err != nil {
			return err
		}
		if err := version.Check(ctx, before.Version()); err != nil {
			return err
		}
		settings = before.clone()
		change(&settings)
		if err := settings.validate(); err != nil {
			return err
		}
		if value, err = json.Marshal(settings); err != nil {
			return err
		}
		if err := q.PutSetting(ctx, db.PutSettingParams{Key: siteSetting, Value: value}); err != nil {
			return err
		}
		return audit.Record(ctx, q, audit.Entry{
			Action: "settings.change", Object: "settings",
			Detail: differences(before, settings), Widens: before.unlocks(settings),
		})
	})
	s.svc.site.forget()
	return settings, err
}

// differences names the settings that changed, with their new values.
func differences(before, after Settings) map[string]any {
	changed := map[string]any{}
	b, a := reflect.ValueOf(before), reflect.ValueOf(after)
	for i := range b.NumField() {
		if value := a.Field(i).Interface(); !reflect.DeepEqual(b.Field(i).Interface(), value) {
			name, _, _ := strings.Cut(b.Type().Field(i).Tag.Get("json"), ",")
			changed[name] = value
		}
	}
	return changed
}

func (s *Settings) validate() error {
	for field, text := range map[string]string{
		"maintenance_message": s.MaintenanceMessage, "section_message": s.SectionMessage,
	} {
		if err := validMessage(field, text); err != nil {
			return err
		}
	}
	slices.Sort(s.LockedSections)
	s.LockedSections = slices.Compact(s.LockedSections)
	for _, section := range s.LockedSections {
		if !slices.Contains(Sections, section) {
			return &refusal.Invalid{Field: "locked_sections", Reason: "sections are " + strings.Join(Sections, ", ")}
		}
	}
	if _, err := time.Parse("15:04", s.CleanUpAt); err != nil {
		return &refusal.Invalid{Field: "clean_up_at", Reason: `give a time of day such as "03:00"`}
	}
	if !(s.LowDiskGB >= 0 && s.LowDiskGB <= maxLowDiskGB) {
		return &refusal.Invalid{Field: "low_disk_gb", Reason: "must be between 0 and 1000000"}
	}
	for field, n := range map[string]int{
		"max_jobs_per_hour": s.MaxJobsPerHour, "max_studies": s.MaxStudies, "max_series": s.MaxSeries,
	} {
		if n < 0 || n > maxQuota {
			return &refusal.Invalid{Field: field, Reason: "must be between 0 (no limit) and 1000000"}
		}
	}
	for field, days := range map[string]int{
		"keep_sessions": s.KeepSessions, "keep_quarantine": s.KeepQuarantine, "keep_part_files": s.KeepPartFiles,
		"keep_task_logs": s.KeepTaskLogs, "keep_identifiers": s.KeepIdentifiers, "keep_mails": s.KeepMails,
		"keep_jobs": s.KeepJobs, "keep_deidentified_jobs": s.KeepDeidentifiedJobs,
		"keep_ledgers": s.KeepLedgers, "keep_stats": s.KeepStats,
		"keep_unsolicited": s.KeepUnsolicited,
	} {
		if days < 0 || days > maxKeepDays {
			return &refusal.Invalid{Field: field, Reason: "must be a number of days between 0 and 36500"}
		}
	}
	return nil
}

func validMessage(field, value string) error {
	if utf8.RuneCountInString(value) > maxMessage {
		return &refusal.Invalid{Field: field, Reason: "must not have more than 1000 characters"}
	}
	if !text.PlainLines(value) {
		return &refusal.Invalid{
			Field:  field,
			Reason: "must not contain control characters other than line ends, or other invisible characters",
		}
	}
	return nil
}
