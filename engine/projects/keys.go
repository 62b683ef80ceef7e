// SPDX-License-Identifier: AGPL-3.0-or-later

package projects

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/internal/refusal"
)

// ProjectKeyPurpose is what projects' keys are sealed for.
const ProjectKeyPurpose = "project"

// KeyOf returns the key of a project, which its patients' keys derive from. The default project of a group has one for
// each trial.
func (svc *Service) KeyOf(isDefault bool, sealed []byte, trial string) (deid.Key, error) {
	secret, err := svc.People.Open(ProjectKeyPurpose, sealed)
	if err != nil || len(secret) != len(deid.Key{}) {
		return deid.Key{}, fault.Permanent(
			"The key of the job's project can't be decrypted; start ADIT with the server key that encrypted it.",
		)
	}
	if !isDefault {
		return deid.Key(secret), nil
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("trial\x00" + trial))
	return deid.Key(mac.Sum(nil)), nil
}

// LinkageTrial is the part of the linkage table that a job belongs to within its project.
func LinkageTrial(isDefault bool, trial string) string {
	if isDefault {
		return trial
	}
	return ""
}

// profileOf returns a project's profile as it is now.
func profileOf(p db.LockProjectRow) (*deid.Profile, error) {
	if p.ProfileText != "" {
		return deid.LoadProfile([]byte(p.ProfileText))
	}
	profile, ok := deid.BuiltinProfile(p.Profile)
	if !ok {
		return nil,
			fmt.Errorf("there is no de-identification profile named %q; choose another for the project", p.Profile)
	}
	return profile, nil
}

// PinProfile finds what a new job de-identifies with. A profile that gives another output than the one before begins a
// new generation of UIDs.
func PinProfile(ctx context.Context, q *db.Queries, project int64, job *db.InsertJobParams) error {
	p, err := q.LockProject(ctx, project)
	if err != nil {
		return err
	}
	profile, err := profileOf(p)
	if err != nil {
		return &refusal.Invalid{Field: "", Reason: err.Error()}
	}
	job.ProfileName, job.ProfileVersion, job.ProfileSha256, job.UidGeneration = profile.Name(), profile.Version(),
		profile.Hash(), p.UidGeneration
	job.Scan, job.Manifest = p.Scan, p.Manifest
	switch p.ProfileSha256 {
	case profile.Hash():
		return nil
	case "":
		return q.PinProfile(ctx, db.PinProfileParams{ID: project, ProfileSha256: profile.Hash()})
	}
	job.UidGeneration, err = q.BeginGeneration(ctx, db.BeginGenerationParams{
		ID: project, ProfileSha256: profile.Hash(),
	})
	return err
}

// PinnedProfile returns the profile that a job was made with.
func (svc *Service) PinnedProfile(ctx context.Context, job db.Job) (*deid.Profile, error) {
	if profile, ok := deid.BuiltinProfile(job.ProfileName); ok && profile.Hash() == job.ProfileSha256 {
		return profile, nil
	}
	text, err := svc.Q.ProfileBySHA256(ctx, job.ProfileSha256)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, err
	}
	if err == nil {
		if profile, err := deid.LoadProfile([]byte(text)); err == nil && profile.Hash() == job.ProfileSha256 {
			return profile, nil
		}
	}
	return nil, fault.Permanent(
		"This version of ADIT applies profile %q differently than when the job was made, so a retry "+
			"would mix two kinds of output; "+
			"make a new job.", job.ProfileName,
	)
}
