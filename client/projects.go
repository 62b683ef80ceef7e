// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Project is what jobs belong to: whose key and profile they pseudonymize with.
type Project struct {
	ID             int64     `json:"id"`
	Name           string    `json:"name"`
	Description    string    `json:"description"`
	Group          string    `json:"group" doc:"Its members belong to the project."`
	IsDefault      bool      `json:"is_default" doc:"It is the project of the group's jobs that name none. Each trial in it has pseudonyms and UIDs of its own."`
	Profile        string    `json:"profile" doc:"Name of the de-identification profile."`
	ProfileVersion string    `json:"profile_version"`
	Members        []string  `json:"members" nullable:"false" doc:"User names of those who belong to it besides its group."`
	UIDGeneration  int       `json:"uid_generation" doc:"Rises with the first job after a change of the profile: the same image gets other UIDs then."`
	FromOriginal   bool      `json:"from_original" doc:"Pseudonyms are derived by a salt of the original ADIT."`
	Scan           bool      `json:"scan" doc:"What jobs made from now on send under a pseudonym is searched for what came in; an instance with a finding is held back."`
	Manifest       bool      `json:"manifest" doc:"Jobs made from now on that pseudonymize keep a manifest."`
	CreatedAt      time.Time `json:"created_at"`
}

// NewProject is a project to be made. It gets a key of its own.
type NewProject struct {
	Name           string   `json:"name" doc:"1 to 64 characters, unique."`
	Description    string   `json:"description,omitempty"`
	Group          string   `json:"group,omitempty" doc:"One's active group by default."`
	Profile        string   `json:"profile,omitempty" doc:"Name of a built-in or uploaded profile; adit-default by default."`
	ProfileVersion string   `json:"profile_version,omitempty" doc:"The one uploaded last by default."`
	Members        []string `json:"members,omitempty" doc:"User names of those who belong to it besides its group."`
	Salt           string   `json:"salt,omitempty" writeOnly:"true" doc:"Pseudonym salt of a mass transfer of the original ADIT: new pseudonyms are derived from it as there. It is kept encrypted and never shown again."`
	NoScan         bool     `json:"no_scan,omitempty" doc:"What is sent under a pseudonym is not searched for what came in."`
	Manifest       bool     `json:"manifest,omitempty" doc:"Jobs that pseudonymize keep a manifest."`
}

// ProjectChange changes a project: nil fields stay as they are.
type ProjectChange struct {
	Description    *string   `json:"description,omitempty"`
	Profile        *string   `json:"profile,omitempty" doc:"Used by jobs made from now on, with UIDs of a new generation."`
	ProfileVersion *string   `json:"profile_version,omitempty" doc:"The one uploaded last by default; goes with profile."`
	Members        *[]string `json:"members,omitempty" doc:"All of them."`
	Salt           *string   `json:"salt,omitempty" writeOnly:"true" doc:"Empty takes it away."`
	Scan           *bool     `json:"scan,omitempty" doc:"Of jobs made from now on: what they send under a pseudonym is searched for what came in."`
	Manifest       *bool     `json:"manifest,omitempty" doc:"Of jobs made from now on: those that pseudonymize keep a manifest."`
}

// Profile is a de-identification profile.
type Profile struct {
	Name      string     `json:"name"`
	Version   string     `json:"version"`
	SHA256    string     `json:"sha256" doc:"Of what it says: the same for the same output. Each object names it."`
	Words     []string   `json:"words" nullable:"false" doc:"What it does, in sentences."`
	Builtin   bool       `json:"builtin"`
	Text      string     `json:"text,omitempty" doc:"As it was uploaded, in YAML."`
	CreatedAt *time.Time `json:"created_at,omitempty"`
}

// Link ties a pseudonym to a patient within a project.
type Link struct {
	Pseudonym        string    `json:"pseudonym"`
	PatientID        string    `json:"patient_id"`
	Issuer           string    `json:"issuer,omitempty" doc:"Issuer of the Patient ID, as configured for the source."`
	StudyInstanceUID string    `json:"study_instance_uid,omitempty" doc:"Stands for a patient without Patient ID."`
	TrialProtocolID  string    `json:"trial_protocol_id,omitempty" doc:"In a group's default project."`
	CreatedAt        time.Time `json:"created_at"`
}

// LinkageImport is what an import of a linkage table made, or would make.
type LinkageImport struct {
	Added         int  `json:"added" doc:"Pairs."`
	Present       int  `json:"present" doc:"Pairs that were there already."`
	OtherThanSalt int  `json:"other_than_salt,omitempty" doc:"Pairs whose pseudonym is not the one that the project's salt of the original ADIT gives."`
	DryRun        bool `json:"dry_run" doc:"Nothing was made."`
}

// Deidentification is what was done to the study of a task.
type Deidentification struct {
	TaskID           int64             `json:"task_id"`
	Pseudonym        string            `json:"pseudonym" doc:"Empty where it was not given with the job, for whoever may not see the project's linkage table."`
	StudyInstanceUID string            `json:"study_instance_uid" doc:"As sent."`
	Profile          string            `json:"profile"`
	ProfileVersion   string            `json:"profile_version"`
	ProfileSHA256    string            `json:"profile_sha256"`
	UIDGeneration    int               `json:"uid_generation"`
	Instances        int               `json:"instances" doc:"Delivered."`
	Attributes       map[string]int    `json:"attributes" nullable:"false" doc:"Attributes of them, by what was done."`
	Codes            []string          `json:"codes" nullable:"false" doc:"Codes of CID 7050 (PS3.16), as (0012,0064) of the objects says what was done."`
	MovedToUTF8      int               `json:"moved_to_utf8" doc:"Instances whose text was moved to UTF-8, since their character set can't hold a new value."`
	AssumedCharsets  map[string]int    `json:"assumed_character_sets" nullable:"false" doc:"Instances that declare no character set and have other bytes than ASCII, by the one that their text was read in, and that they declare as sent."`
	Refused          map[string]int    `json:"refused" nullable:"false" doc:"Instances that the profile leaves out, by reason."`
	Unsafe           map[string]int    `json:"unsafe" nullable:"false" doc:"Instances that could not be de-identified and were not sent, by reason."`
	NotSent          []NotSentInstance `json:"not_sent" nullable:"false" doc:"Both kinds one by one."`
	Truncated        bool              `json:"not_sent_truncated,omitempty" doc:"More were not sent than the list holds."`
	Excluded         map[string]int    `json:"excluded" nullable:"false" doc:"Instances of modalities that are left out under a pseudonym, by modality."`
}

// NotSentInstance is an instance that was not sent under a pseudonym.
type NotSentInstance struct {
	SOPInstanceUID string `json:"sop_instance_uid" doc:"As the source has it."`
	Reason         string `json:"reason" example:"burned-in"`
	Unsafe         bool   `json:"unsafe,omitempty" doc:"It could not be de-identified; otherwise the profile leaves it out."`
}

// Projects lists the projects that one belongs to, all of them for staff.
func (c *Client) Projects(ctx context.Context) iter.Seq2[Project, error] {
	return list[Project](ctx, c, "/api/v1/projects", nil)
}

// Project finds a project by its name.
func (c *Client) Project(ctx context.Context, name string) (Project, error) {
	var p Project
	return p, c.do(ctx, get(projectPath(name), nil), &p)
}

func projectPath(name string) string { return "/api/v1/projects/" + escape(name) }

// AddProject makes a project.
func (c *Client) AddProject(ctx context.Context, n NewProject) (Project, error) {
	var p Project
	return p, c.do(ctx, request{method: http.MethodPost, path: "/api/v1/projects", body: n}, &p)
}

// ChangeProject changes a project.
func (c *Client) ChangeProject(ctx context.Context, name string, change ProjectChange) (Project, error) {
	var p Project
	return p, c.do(ctx, request{method: http.MethodPatch, path: projectPath(name), body: change}, &p)
}

// Profiles lists the de-identification profiles: those that ADIT brings first, then those uploaded, in their order.
func (c *Client) Profiles(ctx context.Context) iter.Seq2[Profile, error] {
	return list[Profile](ctx, c, "/api/v1/profiles", nil)
}

// AddProfile uploads a profile in YAML. The same again is fine; the same name and version with other content is refused (409).
func (c *Client) AddProfile(ctx context.Context, yaml []byte) (Profile, error) {
	var p Profile
	return p, c.do(ctx, request{method: http.MethodPost, path: "/api/v1/profiles", body: rawBody{"application/yaml", yaml}, repeatable: true}, &p)
}

// LinkFilter chooses rows of a linkage table. Empty fields match everything.
type LinkFilter struct {
	Pseudonym, PatientID string
	Limit                int // rows per page, at most 500; 50 by default
}

// Linkage lists the linkage table of a project, by trial and pseudonym.
func (c *Client) Linkage(ctx context.Context, project string, f LinkFilter) iter.Seq2[Link, error] {
	q := filter("", f.Limit)
	if f.Pseudonym != "" {
		q.Set("pseudonym", f.Pseudonym)
	}
	if f.PatientID != "" {
		q.Set("patient_id", f.PatientID)
	}
	return list[Link](ctx, c, projectPath(project)+"/linkage", q)
}

// ExportLinkage writes the linkage table of a project as CSV.
func (c *Client) ExportLinkage(ctx context.Context, project string, w io.Writer) error {
	return c.copy(ctx, get(projectPath(project)+"/linkage:export", nil), w)
}

// ImportLinkage adds the pairs of a table in CSV to the linkage table of a project: all of them, or none and a *Problem that names the faulty
// rows. issuer is that of rows that name none.
func (c *Client) ImportLinkage(ctx context.Context, project string, csv []byte, issuer string, dryRun bool) (LinkageImport, error) {
	q := url.Values{}
	if issuer != "" {
		q.Set("issuer", issuer)
	}
	if dryRun {
		q.Set("dry_run", strconv.FormatBool(dryRun))
	}
	var result LinkageImport
	rq := request{method: http.MethodPost, path: projectPath(project) + "/linkage:import", query: q, body: rawBody{"text/csv", csv}, repeatable: true}
	return result, c.do(ctx, rq, &result)
}

// Deidentification tells what was done to the study of a task; a *Problem of status 404 if nothing of it was de-identified.
func (c *Client) Deidentification(ctx context.Context, task int64) (Deidentification, error) {
	var report Deidentification
	return report, c.do(ctx, get(fmt.Sprintf("%s/deidentification", taskPath(task)), nil), &report)
}

// JobDeidentification writes, as CSV, what was done to the studies of a job. It holds nothing of the originals.
func (c *Client) JobDeidentification(ctx context.Context, job int64, w io.Writer) error {
	return c.copy(ctx, get(jobPath(job)+"/deidentification", nil), w)
}

// JobManifest writes the manifest of a job that has ended: a JSON object a line, each chained to the one before. A *Problem of status 409 says that
// the job keeps none, or has not ended.
func (c *Client) JobManifest(ctx context.Context, job int64, w io.Writer) error {
	return c.copy(ctx, get(jobPath(job)+"/manifest", nil), w)
}
