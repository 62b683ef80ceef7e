// SPDX-License-Identifier: AGPL-3.0-or-later

package projects

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// Profile is a de-identification profile that projects may use.
type Profile struct {
	ID        int64 // 0: built in
	Name      string
	Version   string
	SHA256    string
	Words     []string // what it does, in sentences
	Text      string   // YAML; empty if built in
	CreatedAt time.Time
}

// maxProfileText bounds a profile; LoadProfile bounds what it may hold.
const maxProfileText = 1 << 20

// BuiltinProfiles returns the profiles that need no upload.
func BuiltinProfiles() []Profile {
	var out []Profile
	for _, name := range deid.BuiltinProfiles() {
		if p, ok := deid.BuiltinProfile(name); ok {
			out = append(out, describe(p))
		}
	}
	return out
}

// Profiles returns at most limit uploaded profiles with an ID above the one given.
func (svc *Service) Profiles(ctx context.Context, above int64, limit int) ([]Profile, error) {
	rows, err := svc.Q.ListProfiles(ctx, db.ListProfilesParams{Above: above, Max: int32(limit)})
	if err != nil {
		return nil, err
	}
	out := make([]Profile, len(rows))
	for i, row := range rows {
		out[i] = profileOfRow(row)
	}
	return out, nil
}

func profileOfRow(row db.DeidProfile) Profile {
	p := Profile{Name: row.Name, Version: row.Version, SHA256: row.Sha256}
	if profile, err := deid.LoadProfile([]byte(row.Text)); err != nil {
		p.Words = []string{"This version of ADIT can't use the profile: " + err.Error() + "."}
	} else {
		p = describe(profile)
	}
	p.ID, p.Text, p.CreatedAt = row.ID, row.Text, row.CreatedAt
	return p
}

// AddProfile keeps a profile for projects to use. The same again is fine; the same name and version with other content
// is a *Conflict. It is for staff.
func (svc *Service) AddProfile(ctx context.Context, user people.User, text []byte) (Profile, error) {
	if err := svc.People.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return Profile{}, err
	}
	if len(text) > maxProfileText {
		return Profile{},
			&refusal.Invalid{Field: "", Reason: fmt.Sprintf("a profile has at most %d bytes", maxProfileText)}
	}
	profile, err := deid.LoadProfile(text)
	if err != nil {
		return Profile{}, &refusal.Invalid{Field: "", Reason: err.Error()}
	}
	if _, ok := deid.BuiltinProfile(profile.Name()); ok {
		return Profile{}, &refusal.Conflict{Reason: fmt.Sprintf(
			"%q is the name of a built-in profile; give yours another name", profile.Name(),
		)}
	}
	var row db.DeidProfile
	err = svc.InTx(ctx, func(q *db.Queries) (err error) {
		row, err = q.InsertProfile(ctx, db.InsertProfileParams{
			Name: profile.Name(), Version: profile.Version(),
			Sha256: profile.Hash(), Text: string(text), CreatedBy: &user.ID,
		})
		if err != nil {
			return err
		}
		return audit.Record(ctx, q, audit.Entry{
			Action: "profile.create", Object: "profile " + row.Name,
			Profile: row.Name + " " + row.Version, ProfileSHA256: row.Sha256,
		})
	})
	if errors.Is(err, pgx.ErrNoRows) {
		if row, err = svc.Q.ProfileByVersion(ctx, db.ProfileByVersionParams{
			Name: profile.Name(), Version: profile.Version(),
		}); err == nil && row.Sha256 != profile.Hash() {
			return Profile{}, &refusal.Conflict{Reason: fmt.Sprintf(
				"version %q of profile %q already exists with other content; give it another version",
				profile.Version(), profile.Name(),
			)}
		}
	}
	if err != nil {
		return Profile{}, err
	}
	svc.Log.InfoContext(
		ctx, "de-identification profile added", "profile", row.Name,
		"version", row.Version, "sha256", row.Sha256, "user", user.ID,
	)
	return profileOfRow(row), nil
}

// Profile returns a profile by its name: one version of it, or the newest one (empty).
func (svc *Service) Profile(ctx context.Context, name, version string) (Profile, error) {
	for _, p := range BuiltinProfiles() {
		if p.Name == name && (version == "" || version == p.Version) {
			return p, nil
		}
	}
	var row db.DeidProfile
	var err error
	if version == "" {
		row, err = svc.Q.NewestProfile(ctx, name)
	} else {
		row, err = svc.Q.ProfileByVersion(ctx, db.ProfileByVersionParams{Name: name, Version: version})
	}
	if err != nil {
		return Profile{}, refusal.NotFound(err, "profile", fmt.Sprintf("%q", strings.TrimSpace(name+" "+version)))
	}
	return profileOfRow(row), nil
}

// findProfile returns the row of a profile, nil for one that is built in.
func findProfile(ctx context.Context, q *db.Queries, name ProfileName) (*int64, error) {
	if built, ok := deid.BuiltinProfile(name.Name); ok {
		if name.Version != "" && name.Version != built.Version() {
			return nil, &refusal.Invalid{Field: "profile_version", Reason: fmt.Sprintf(
				"the built-in profile %q has version %s", name.Name, built.Version(),
			)}
		}
		return nil, nil //nolint:nilnil // there is no row, and nothing is wrong
	}
	var row db.DeidProfile
	var err error
	if name.Version == "" {
		row, err = q.NewestProfile(ctx, name.Name)
	} else {
		row, err = q.ProfileByVersion(ctx, db.ProfileByVersionParams(name))
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, &refusal.Invalid{
			Field: "profile",
			Reason: "there is no de-identification profile of this name and version; `adit profile list` lists " +
				"them, `adit profile add` adds one",
		}
	}
	return &row.ID, err
}

// What bases and options mean, in plain words.
var (
	baseWords = map[string]string{
		"ps3.15-basic": "By the Basic Application Level Confidentiality Profile of DICOM PS3.15: whatever may identify " +
			"somebody is removed, emptied or replaced by a value without meaning.",
		"adit": "As the original ADIT did: dates of study, series, acquisition and content stay, the birth " +
			"date becomes January 1st of its year; names, IDs and institutions become codes, UIDs are replaced.",
	}
	optionWords = map[string]string{
		"retain-safe-private":            "Private attributes that the standard lists as safe stay.",
		"retain-uids":                    "UIDs stay: anyone who has the originals can find them by their UIDs.",
		"retain-device-identity":         "What identifies the device stays.",
		"retain-institution-identity":    "What identifies the institution stays.",
		"retain-patient-characteristics": "Age, sex, size, weight and the like stay.",
		"full-dates":                     "Dates and times stay as they are.",
		"modified-dates": "Dates are moved 62 to 730 days into the past, all dates of a patient by the " +
			"same number; times of day stay.",
		"clean-descriptors":        "Descriptions keep only words of anatomy and technique that are on a list.",
		"clean-structured-content": "Structured reports keep the content that can be cleaned.",
		"clean-graphics":           "Annotations that can be cleaned are kept.",
	}
	reasonWords = map[deid.Reason]string{
		deid.BurnedIn:             "Instances that may show text in their pixels are sent.",
		deid.EncapsulatedDocument: "Encapsulated documents (PDF, CDA) are sent; ADIT does not look at their content.",
		deid.PixelsElsewhere:      "Instances whose pixel data is stored elsewhere are sent.",
		deid.Recognizable:         "Instances that say that the patient can be recognized in them are sent.",
		deid.UnknownSOPClass:      "Instances of SOP classes that the standard doesn't define are sent.",
		deid.Undecodable:          "Instances with text that can't be decoded are sent.",
	}
)

// describe says what a profile does.
func describe(p *deid.Profile) Profile {
	d := p.Definition()
	words := []string{baseWords[d.Base]}
	shifted := false
	for _, option := range d.Options {
		shifted = shifted || option == "modified-dates" || option == "full-dates"
		words = append(words, optionWords[option])
	}
	if d.Base != "adit" && !shifted {
		words = append(words, "Dates and times are removed, or replaced by values without meaning.")
	}
	if d.Base != "adit" && !slices.Contains(d.Options, "retain-uids") {
		words = append(words, "UIDs are replaced, each always by the same new one.")
	}
	if n := len(d.Overrides); n > 0 {
		attributes := make([]string, 0, n)
		for _, o := range d.Overrides[:min(n, 20)] {
			name := o.Keyword
			for _, part := range []string{o.Tag, o.VR} {
				if name == "" {
					name = part
				}
			}
			attributes = append(attributes, name+" "+o.Action)
		}
		text := "Rules of its own: " + strings.Join(attributes, ", ")
		if n > len(attributes) {
			text += fmt.Sprintf(" and %d more", n-len(attributes))
		}
		words = append(words, text+".")
	}
	for _, reason := range d.Allow {
		words = append(words, reasonWords[deid.Reason(reason)])
	}
	if n := len(d.Vocabulary); n > 0 {
		words = append(words, fmt.Sprintf("Descriptions also keep %d words that the profile adds.", n))
	}
	return Profile{Name: p.Name(), Version: p.Version(), SHA256: p.Hash(), Words: words}
}
