// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/cli/jobs"
	"github.com/adit-go/adit/client"
)

type transferCmd struct {
	command.Remote
	Source       string     `complete:"source" required:"" placeholder:"NAME" help:"Name of the server to read from."`
	Destination  string     `complete:"destination" required:"" placeholder:"NAME" help:"Name of the server or folder to write to."`
	Study        []string   `required:"" placeholder:"UID" help:"Study Instance UID. For several, separate them by commas or repeat the flag. @FILE reads a list from a file, - from the standard input."`
	Series       []string   `placeholder:"UID" help:"Only these series of the study."`
	PatientID    string     `name:"patient-id" placeholder:"ID" help:"Expected Patient ID. A study of another patient ends with a warning."`
	Project      string     `complete:"project" placeholder:"NAME" help:"Project whose key and profile pseudonymize. Default: the default project of your active group."`
	Pseudonym    pseudonyms `placeholder:"P" help:"De-identify, with this pseudonym for the patient of all studies; or with UID=P for each study."`
	Pseudonymize bool       `help:"De-identify. Studies without --pseudonym get their patient's pseudonym from the project's linkage table, or a new one."`
	jobs.SentFlags
	jobs.ArchiveFlags
	jobs.Flags
}

// pseudonyms is a list with commas. An empty one is refused, perhaps of a variable that is not set: nothing goes out
// with its patient for that.
type pseudonyms []string

// Decode implements kong.MapperValue.
func (p *pseudonyms) Decode(ctx *kong.DecodeContext) error {
	var text string
	if err := ctx.Scan.PopValueInto("pseudonym", &text); err != nil {
		return err
	}
	for one := range strings.SplitSeq(text, ",") {
		if _, pseudonym, named := strings.Cut(one, "="); strings.TrimSpace(one) == "" ||
			named && strings.TrimSpace(pseudonym) == "" {
			return errors.New("a pseudonym is empty: give one, or leave the flag out to send studies as they are")
		}
		*p = append(*p, one)
	}
	return nil
}

// Help tells what the exit codes mean.
func (c *transferCmd) Help() string {
	return `With --pseudonym or --pseudonymize the studies are de-identified by the profile of the project, which adit project profile NAME explains. In a project, a patient has one pseudonym and a pseudonym one patient; ADIT refuses anything else. For several patients: --study UID1,UID2 --pseudonym UID1=P1,UID2=P2, or a list. adit job deidentification shows afterwards what was done.

A list (--study @FILE, or - for the standard input) has one Study Instance UID per line; blank lines and lines that begin with # are skipped. It may be CSV instead, with a header that names study_instance_uid and, if needed, pseudonym, patient_id, and series_instance_uids (separated by blanks); the separator is a comma or a semicolon. What adit job failures --output writes is such a list. All studies go into one job.

With --archive-password-file the studies go into one zip file in the folder, which 7-Zip opens: encrypted with AES-256, under a password of 12 to 128 characters of ASCII. Names in it can be read without the password: studies with their patients' identity are therefore archives within it. The file has its name when the job has ended.

Without --wait, exit code 0 only means that the job was made.

With --wait the exit code is how the job ended: 0 Success (every object was acknowledged by the destination), 1 Failure, 3 Warning, 4 Canceled. A job that --give-up-after has canceled ends with 4. Interrupting the command (Ctrl-C) leaves the job running and exits with 1.`
}

// Run makes the job, and waits for it if asked to.
func (c *transferCmd) Run(ctx context.Context, io command.Streams) error {
	studies, err := readStudies(c.Study, c.Pseudonymize)
	if err != nil {
		return err
	}
	if len(c.Series) > 0 && len(studies) > 1 {
		return command.Usage("--series belongs to one study: give one --study, or a transfer per study")
	}
	if err := c.Check(); err != nil {
		return err
	}
	if err := c.complement(studies); err != nil {
		return err
	}
	if !slices.ContainsFunc(studies, pseudonymous) && !c.Pseudonymize {
		if err := c.sayIdentified(io); err != nil {
			return err
		}
	}
	password, err := c.Password(io, slices.Contains(c.Study, "-"))
	if err != nil {
		return err
	}
	cl, err := c.Client()
	if err != nil {
		return err
	}
	job := client.NewJob{
		Kind: client.SelectiveTransfer, Source: c.Source, Destination: c.Destination, TrialProtocolID: c.TrialID,
		TrialProtocolName: c.TrialName, LeaveOutRejected: c.LeaveOutRejected(), Urgent: c.Urgent,
		OutsideWindows:   c.OutsideWindows,
		MailWhenFinished: c.Mail,
		Project:          c.Project, Pseudonymize: c.Pseudonymize,
		ArchivePassword: password,
	}
	for _, s := range studies {
		job.Studies = append(job.Studies, s.NewStudy)
	}
	made, err := cl.Jobs.Create(ctx, job, "")
	if err != nil {
		return nameStudies(err, studies)
	}
	return c.Follow(ctx, io, c.Output, cl, made)
}

// sayIdentified refuses a project that would not pseudonymize, and tells who gives a trial that studies are sent with
// their identity.
func (c *transferCmd) sayIdentified(io command.Streams) error {
	if c.Project != "" {
		return command.Usage("--project says whose key and profile pseudonymize: add --pseudonymize or --pseudonym, " +
			"or omit --project to send studies with their patients' identity")
	}
	if c.TrialID != "" {
		fmt.Fprintln(io.Err,
			"The studies are sent with their patients' identity: --trial-id alone removes nothing. --pseudonymize "+
				"or --pseudonym does.",
		)
	}
	return nil
}

func pseudonymous(s listed) bool { return s.Pseudonym != "" }

// complement adds to the studies what other flags say of them: pseudonyms, series, the patient.
func (c *transferCmd) complement(studies []listed) error {
	for i := range studies {
		s := &studies[i]
		s.PatientID = cmp.Or(s.PatientID, c.PatientID)
		if len(c.Series) > 0 {
			s.SeriesInstanceUIDs = c.Series
		}
	}
	for _, p := range c.Pseudonym {
		uid, pseudonym, one := strings.Cut(p, "=")
		if !one && len(c.Pseudonym) > 1 {
			return command.Usage("several pseudonyms must say of which study they are: --pseudonym UID1=P1,UID2=P2")
		}
		if !one {
			uid, pseudonym = "", p
		}
		if err := setPseudonym(studies, strings.TrimSpace(uid), strings.TrimSpace(pseudonym)); err != nil {
			return err
		}
	}
	without := func(s listed) bool { return s.Pseudonym == "" }
	if i := slices.IndexFunc(studies, without); i >= 0 && !c.Pseudonymize && slices.ContainsFunc(studies, pseudonymous) {
		return command.Usage(
			"some studies have a pseudonym and some have none, such as %s: give each one, or add --pseudonymize", studies[i],
		)
	}
	return nil
}

// setPseudonym sets the pseudonym of a study; without a UID, of all.
func setPseudonym(studies []listed, uid, pseudonym string) error {
	found := false
	for i := range studies {
		s := &studies[i]
		if uid != "" && s.StudyInstanceUID != uid {
			continue
		}
		if s.Pseudonym != "" {
			return command.Usage("study %s has two pseudonyms; give it one", s)
		}
		s.Pseudonym, found = pseudonym, true
	}
	if !found {
		return command.Usage("--pseudonym %s=…: this study is not among --study", uid)
	}
	return nil
}
