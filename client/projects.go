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
	Versioned
	ID             int64     `json:"id" doc:"Number of the project." example:"5"`
	Name           string    `json:"name" doc:"Unique in any case of letters." example:"stroke-2026"`
	Description    string    `json:"description" doc:"What it is about, for people; may be empty." example:"Stroke imaging"`
	Group          string    `json:"group" doc:"Name of the group whose members belong to it." example:"Radiology"`
	IsDefault      bool      `json:"is_default" doc:"It is the project of the group's jobs that name none. Each trial in it has pseudonyms and UIDs of its own."`
	Profile        string    `json:"profile" doc:"Name of the de-identification profile." example:"adit-default"`
	ProfileVersion string    `json:"profile_version" doc:"Version of the profile." example:"1"`
	Members        []string  `json:"members" nullable:"false" doc:"User names of those who belong to it besides its group." example:"researcher"`
	UIDGeneration  int       `json:"uid_generation" doc:"Rises with the first job after a change of the profile: the same image gets other UIDs then." example:"1"`
	FromOriginal   bool      `json:"from_original" doc:"Pseudonyms are derived by a salt of the original ADIT."`
	Scan           bool      `json:"scan" doc:"What jobs made from now on send under a pseudonym is searched for what came in; an instance with a finding is held back."`
	Manifest       bool      `json:"manifest" doc:"Jobs made from now on that pseudonymize keep a manifest."`
	CreatedAt      time.Time `json:"created_at" doc:"When it was made." example:"2026-11-23T08:15:30Z"`

	ExcludedModalities []string `json:"excluded_modalities" nullable:"false" doc:"Series of these modalities are left out where its jobs pseudonymize." example:"[\"PR\",\"SR\"]"`
}

// NewProject is a project to be made. It gets a key of its own.
type NewProject struct {
	Name           string   `json:"name" doc:"1 to 64 characters, unique." example:"stroke-2026"`
	Description    string   `json:"description,omitempty" doc:"What it is about, for people; may be empty." example:"Stroke imaging"`
	Group          string   `json:"group,omitempty" doc:"Name of the group whose members belong to it; absent: one's active group." example:"Radiology"`
	Profile        string   `json:"profile,omitempty" doc:"Name of a built-in or uploaded profile; adit-default by default." example:"adit-default"`
	ProfileVersion string   `json:"profile_version,omitempty" doc:"Version of the profile; absent: the one that was uploaded last." example:"1"`
	Members        []string `json:"members,omitempty" doc:"User names of those who belong to it besides its group." example:"researcher"`
	Salt           string   `json:"salt,omitempty" writeOnly:"true" doc:"Pseudonym salt of a mass transfer of the original ADIT: new pseudonyms are derived from it as there. It is kept encrypted and never shown again." example:"0f1e2d3c4b5a"`
	NoScan         bool     `json:"no_scan,omitempty" doc:"What is sent under a pseudonym is not searched for what came in."`
	Manifest       bool     `json:"manifest,omitempty" doc:"Jobs that pseudonymize keep a manifest."`
}

// ProjectChange changes a project: nil fields stay as they are.
type ProjectChange struct {
	Description    *string   `json:"description,omitempty" doc:"Another description; absent: as it is." example:"Stroke imaging, second phase"`
	Profile        *string   `json:"profile,omitempty" doc:"Name of another profile for jobs made from now on, with UIDs of a new generation; absent: as it is." example:"adit-default"`
	ProfileVersion *string   `json:"profile_version,omitempty" doc:"Version of that profile; absent: the one that was uploaded last. It goes with profile." example:"1"`
	Members        *[]string `json:"members,omitempty" doc:"Usernames of all who belong to it besides its group; absent: as they are." example:"researcher"`
	Salt           *string   `json:"salt,omitempty" writeOnly:"true" doc:"Another salt of the original ADIT; empty takes it away; absent: as it is." example:"0f1e2d3c4b5a"`
	Scan           *bool     `json:"scan,omitempty" doc:"Of jobs made from now on: what they send under a pseudonym is searched for what came in."`
	Manifest       *bool     `json:"manifest,omitempty" doc:"Of jobs made from now on: those that pseudonymize keep a manifest."`
}

// Profile is a de-identification profile.
type Profile struct {
	Name      string     `json:"name" doc:"What projects name it by." example:"adit-default"`
	Version   string     `json:"version" doc:"Tells profiles of the same name apart." example:"1"`
	SHA256    string     `json:"sha256" doc:"SHA-256 of what it says, in hexadecimal: the same for the same output. Each instance that it treated names it." example:"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"`
	Words     []string   `json:"words" nullable:"false" doc:"What it does, in sentences." example:"[\"Removes the names of staff.\"]"`
	Builtin   bool       `json:"builtin" doc:"Whether it comes with ADIT; otherwise it was uploaded." example:"true"`
	Text      string     `json:"text,omitempty" doc:"The YAML that was uploaded; absent for built-in profiles." example:"name: neuro\nversion: \"2\"\nbase: adit\n"`
	CreatedAt *time.Time `json:"created_at,omitempty" doc:"When it was uploaded; absent for built-in profiles." example:"2026-11-23T08:15:30Z"`
}

// Link ties a pseudonym to a patient within a project.
type Link struct {
	Pseudonym        string    `json:"pseudonym" doc:"What stands in the place of the patient's identity." example:"SUBJ-001"`
	PatientID        string    `json:"patient_id" doc:"Patient ID at the source; empty for a patient without one." example:"PHANTOM-001"`
	Issuer           string    `json:"issuer,omitempty" doc:"Issuer of the Patient ID, as configured for the source." example:"HOSPITAL"`
	StudyInstanceUID string    `json:"study_instance_uid,omitempty" doc:"Study Instance UID at the source, for a patient without a Patient ID; otherwise absent." example:"1.2.826.0.1.3680043.8.498.1"`
	TrialProtocolID  string    `json:"trial_protocol_id,omitempty" doc:"The trial whose pseudonym it is, in the default project of a group; otherwise absent." example:"STROKE-26"`
	CreatedAt        time.Time `json:"created_at" doc:"When the two were tied together." example:"2026-11-23T08:15:30Z"`
}

// LinkageImport is what an import of a linkage table made, or would make.
type LinkageImport struct {
	Added         int  `json:"added" doc:"Pairs that were added; with dry_run, that would be." example:"120"`
	Present       int  `json:"present" doc:"Pairs that the table held already." example:"3"`
	OtherThanSalt int  `json:"other_than_salt,omitempty" doc:"Pairs whose pseudonym is not the one that the project's salt of the original ADIT gives." example:"0"`
	DryRun        bool `json:"dry_run" doc:"Whether it was a trial, which added nothing." example:"false"`
}

// Deidentification is what was done to the study of a task.
type Deidentification struct {
	TaskID           int64             `json:"task_id" doc:"The task whose study it is." example:"1201"`
	Pseudonym        string            `json:"pseudonym" doc:"Empty where it was not given with the job, for whoever may not see the project's linkage table." example:"SUBJ-001"`
	StudyInstanceUID string            `json:"study_instance_uid" doc:"Study Instance UID that went out." example:"2.25.4711"`
	Profile          string            `json:"profile" doc:"Name of the de-identification profile." example:"adit-default"`
	ProfileVersion   string            `json:"profile_version" doc:"Version of the profile that was applied." example:"1"`
	ProfileSHA256    string            `json:"profile_sha256" doc:"SHA-256 of what the profile says, in hexadecimal." example:"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"`
	UIDGeneration    int               `json:"uid_generation" doc:"Generation of the UIDs that were given." example:"1"`
	Instances        int               `json:"instances" doc:"Instances that were delivered under the pseudonym." example:"240"`
	Attributes       map[string]int    `json:"attributes" nullable:"false" doc:"How many attributes of the delivered instances were treated in which way." example:"{\"remove\":4800,\"replace\":960}"`
	Codes            []string          `json:"codes" nullable:"false" doc:"Codes of CID 7050 (PS3.16), as (0012,0064) of the objects says what was done." example:"113100,113101"`
	MovedToUTF8      int               `json:"moved_to_utf8" doc:"Instances whose text was moved to UTF-8, since their character set can't hold a new value." example:"0"`
	AssumedCharsets  map[string]int    `json:"assumed_character_sets" nullable:"false" doc:"Instances that declare no character set and have other bytes than ASCII, by the one that their text was read in, and that they declare as sent." example:"{\"ISO_IR 100\":12}"`
	Refused          map[string]int    `json:"refused" nullable:"false" doc:"Instances that the profile leaves out, by reason." example:"{\"burned-in\":2}"`
	Unsafe           map[string]int    `json:"unsafe" nullable:"false" doc:"Instances that could not be de-identified and were not sent, by reason." example:"{\"unreadable\":1}"`
	NotSent          []NotSentInstance `json:"not_sent" nullable:"false" doc:"The refused and the unsafe instances one by one."`
	Truncated        bool              `json:"not_sent_truncated,omitempty" doc:"More were not sent than the list holds."`
	Excluded         map[string]int    `json:"excluded" nullable:"false" doc:"Instances of modalities that are left out under a pseudonym, by modality." example:"{\"SR\":1}"`
}

// NotSentInstance is an instance that was not sent under a pseudonym.
type NotSentInstance struct {
	SOPInstanceUID string `json:"sop_instance_uid" doc:"SOP Instance UID at the source." example:"1.2.826.0.1.3680043.8.498.1.2.3"`
	Reason         string `json:"reason" example:"burned-in" doc:"Why it was not sent."`
	Unsafe         bool   `json:"unsafe,omitempty" doc:"It could not be de-identified; otherwise the profile leaves it out."`
}

// JobDeidentification is what was done to the studies of a job, all together. It holds nothing of the originals.
type JobDeidentification struct {
	Studies               int              `json:"studies" doc:"Studies of the job." example:"500"`
	ToPseudonymize        int              `json:"to_pseudonymize" doc:"Studies of these that are sent under a pseudonym, or not at all; the others go with the identity of their patient." example:"500"`
	Pseudonymized         int              `json:"pseudonymized" doc:"Studies of which the destination has acknowledged instances under a pseudonym." example:"307"`
	WithIdentity          int              `json:"with_identity" doc:"Studies of which the destination has acknowledged instances with the identity of their patient." example:"0"`
	Patients              int              `json:"patients" doc:"Pseudonyms under which studies were delivered; one that ADIT chose counts when its task has ended." example:"231"`
	Instances             int64            `json:"instances" doc:"Instances that were delivered under a pseudonym." example:"148220"`
	InstancesWithIdentity int64            `json:"instances_with_identity" doc:"Instances that were delivered with the identity of their patient." example:"0"`
	Attributes            map[string]int64 `json:"attributes" nullable:"false" doc:"How many attributes of the instances that were delivered under a pseudonym were treated in which way." example:"{\"remove\":4800,\"replace\":960}"`
	Codes                 map[string]int   `json:"codes" nullable:"false" doc:"In how many studies (0012,0064) of some instance has a code of CID 7050 (PS3.16)." example:"{\"113100\":307,\"113101\":307}"`
	MovedToUTF8           int64            `json:"moved_to_utf8" doc:"Instances whose text was moved to UTF-8, since their character set can't hold a new value." example:"0"`
	AssumedCharsets       map[string]int   `json:"assumed_character_sets" nullable:"false" doc:"Instances that declare no character set and have other bytes than ASCII, by the one that their text was read in." example:"{\"ISO_IR 100\":12}"`
	HeldBack              []HeldBack       `json:"held_back" nullable:"false" doc:"Instances that were not sent, by reason, most first."`
	Truncated             bool             `json:"held_back_truncated,omitempty" doc:"Of some study more was held back than its report lists, so that there is more than the numbers say."`
	Excluded              map[string]int   `json:"excluded" nullable:"false" doc:"Instances of modalities that are left out under a pseudonym, by modality, as far as the source counts them." example:"{\"SR\":1}"`
}

// HeldBack is instances of a job that were not sent for one reason.
type HeldBack struct {
	Reason    string `json:"reason" doc:"Why they were not sent." example:"burned-in"`
	Unsafe    bool   `json:"unsafe,omitempty" doc:"They could not be de-identified; otherwise the profile or a rule leaves them out."`
	Instances int    `json:"instances" doc:"How many instances." example:"14"`
	Studies   int    `json:"studies" doc:"How many studies they belong to." example:"6"`
	First     int    `json:"first" doc:"Place of the first task within the job, from 1." example:"10"`
}

// List returns the projects that one belongs to, all of them for staff.
func (c Projects) List(ctx context.Context) iter.Seq2[Project, error] {
	return list[Project](ctx, c.caller, "/api/v1/projects", nil)
}

// Get returns a project by its name.
func (c Projects) Get(ctx context.Context, name string) (Project, error) {
	var p Project
	return p, c.do(ctx, get(projectPath(name), nil), &p)
}

func projectPath(name string) string { return "/api/v1/projects/" + escape(name) }

// Add makes a project.
func (c Projects) Add(ctx context.Context, n NewProject) (Project, error) {
	var p Project
	return p, c.do(ctx, request{method: http.MethodPost, path: "/api/v1/projects", body: n}, &p)
}

// Change changes a project.
func (c Projects) Change(
	ctx context.Context, name string, change ProjectChange, only ...Condition,
) (Project, error) {
	var p Project
	return p, c.do(ctx, patch(projectPath(name), change).only(only), &p)
}

// Delete removes a project that was never used.
func (c Projects) Delete(ctx context.Context, name string, only ...Condition) error {
	return c.do(ctx, remove(projectPath(name)).only(only), nil)
}

// Get returns a profile: one version of it, or the one that was uploaded last (empty).
func (c Profiles) Get(ctx context.Context, name, version string) (Profile, error) {
	var p Profile
	return p, c.do(ctx, get("/api/v1/profiles/"+escape(name), query(map[string]any{"version": version})), &p)
}

// List returns the de-identification profiles: those that ADIT brings first, then those uploaded, in their order.
func (c Profiles) List(ctx context.Context) iter.Seq2[Profile, error] {
	return list[Profile](ctx, c.caller, "/api/v1/profiles", nil)
}

// Add uploads a profile in YAML. The same again is fine; the same name and version with other content is refused (409).
func (c Profiles) Add(ctx context.Context, yaml []byte) (Profile, error) {
	var p Profile
	return p, c.do(ctx, request{
		method: http.MethodPost, path: "/api/v1/profiles",
		body: rawBody{"application/yaml", yaml}, repeatable: true,
	}, &p)
}

// LinkFilter chooses rows of a linkage table. Empty fields match everything.
type LinkFilter struct {
	Pseudonym string `json:"pseudonym,omitempty" maxLength:"64" doc:"Only the patient behind this pseudonym, exactly as it is written." example:"SUBJ-001"`
	PatientID string `json:"patient_id,omitempty" maxLength:"64" doc:"Only the pseudonyms of this Patient ID, exactly as it is written." example:"PHANTOM-001"`
	Part
}

// Linkage lists the linkage table of a project, by trial and pseudonym.
func (c Projects) Linkage(ctx context.Context, project string, f LinkFilter) iter.Seq2[Link, error] {
	return search[Link](ctx, c.caller, projectPath(project)+"/linkage:search", func(cursor string) any {
		f.Cursor = cursor
		return f
	})
}

// ExportLinkage writes the linkage table of a project as CSV.
func (c Projects) ExportLinkage(ctx context.Context, project string, w io.Writer) error {
	return c.copy(ctx, get(projectPath(project)+"/linkage:export", nil), w)
}

// ImportLinkage adds the pairs of a table in CSV to the linkage table of a project: all of them, or none and a *Problem
// that names the faulty rows. issuer is that of rows that name none.
func (c Projects) ImportLinkage(
	ctx context.Context, project string, csv []byte, issuer string, dryRun bool,
) (LinkageImport, error) {
	q := url.Values{}
	if issuer != "" {
		q.Set("issuer", issuer)
	}
	if dryRun {
		q.Set("dry_run", strconv.FormatBool(dryRun))
	}
	var result LinkageImport
	rq := request{
		method: http.MethodPost, path: projectPath(project) + "/linkage:import",
		query: q, body: rawBody{"text/csv", csv}, repeatable: true,
	}
	return result, c.do(ctx, rq, &result)
}

// Deidentification tells what was done to the study of a task; a *Problem of status 404 if nothing of it was
// de-identified.
func (c Tasks) Deidentification(ctx context.Context, task int64) (Deidentification, error) {
	var report Deidentification
	return report, c.do(ctx, get(fmt.Sprintf("%s/deidentification", taskPath(task)), nil), &report)
}

// Deidentification writes, as CSV, what was done to the studies of a job. It holds nothing of the originals.
func (c Jobs) Deidentification(ctx context.Context, job int64, w io.Writer) error {
	return c.copy(ctx, get(jobPath(job)+"/deidentification:export", nil), w)
}

// DeidentificationSum tells what was done to the studies of a job, all together.
func (c Jobs) DeidentificationSum(ctx context.Context, job int64) (JobDeidentification, error) {
	var sum JobDeidentification
	return sum, c.do(ctx, get(jobPath(job)+"/deidentification", nil), &sum)
}

// Manifest writes the manifest of a job that has ended: a JSON object a line, each chained to the one before. A
// *Problem of status 409 says that the job keeps none, or has not ended.
func (c Jobs) Manifest(ctx context.Context, job int64, w io.Writer) error {
	return c.copy(ctx, get(jobPath(job)+"/manifest", nil), w)
}
