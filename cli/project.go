// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"errors"
	"fmt"
	stdio "io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/internal/words"
)

type projectCmd struct {
	List    projectListCmd    `cmd:"" help:"List the projects that you belong to."`
	Add     projectAddCmd     `cmd:"" help:"Make a project with a key of its own."`
	Set     projectSetCmd     `cmd:"" help:"Change a project."`
	Profile projectProfileCmd `cmd:"" help:"Show or choose the de-identification profile of a project."`
	Linkage linkageCmd        `cmd:"" help:"The patients behind the pseudonyms of a project. Needs the permission \"linkage\"."`
}

type projectListCmd struct {
	command.Remote
}

// Run lists projects.
func (c *projectListCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	projects, err := command.Collect(cl.Projects.List(ctx))
	if err != nil {
		return err
	}
	if c.JSON {
		return command.PrintJSON(io.Out, projects)
	}
	if len(projects) == 0 {
		fmt.Fprintln(io.Out, "There are no projects.")
		return nil
	}
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tGROUP\tPROFILE\tVERSION\tGENERATION\tSCAN\tMANIFEST\tMEMBERS\tDESCRIPTION")
	for _, p := range projects {
		name := command.Printable(p.Name)
		if p.IsDefault {
			name += " (default of its group)"
		}
		fmt.Fprintf(
			w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", name, command.Printable(p.Group),
			command.Printable(p.Profile), command.Printable(p.ProfileVersion), p.UIDGeneration,
			onOff(p.Scan), onOff(p.Manifest),
			command.Printable(strings.Join(p.Members, ",")), command.Printable(p.Description),
		)
	}
	return w.Flush()
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// projectFlags are what can be said of a project.
type projectFlags struct {
	Description    *string `placeholder:"TEXT" help:"What the project is about."`
	Profile        *string `complete:"profile" placeholder:"NAME" help:"De-identification profile: one of ${deid_profiles}, or one that was uploaded (adit profile list)."`
	ProfileVersion *string `placeholder:"V" help:"Version of the profile. Default: the one uploaded last."`
	Members        *string `placeholder:"USER,…" help:"Usernames of all members besides the group's."`
	Scan           *bool   `negatable:"" help:"Search pseudonymized objects for identifying values before they are sent, and hold back objects with findings (default: on). Applies to new jobs."`
	Manifest       *bool   `negatable:"" help:"Keep a manifest of new jobs that pseudonymize; adit job manifest writes it."`
	SaltFile       *string `type:"path" placeholder:"FILE" help:"File with the pseudonym salt of a mass transfer of the original ADIT: new pseudonyms are derived from it in the same way. An empty file removes the salt."`
}

func (f *projectFlags) salt() (*string, error) {
	if f.SaltFile == nil {
		return nil, nil //nolint:nilnil // nothing is said of it
	}
	file, err := os.Open(*f.SaltFile)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // was only read
	text, err := stdio.ReadAll(stdio.LimitReader(file, 4<<10))
	salt := strings.TrimSpace(string(text))
	return &salt, err
}

type projectAddCmd struct {
	command.Remote
	Name  string `arg:"" help:"Name of the project; unique."`
	Group string `complete:"group" placeholder:"NAME" help:"Group whose members belong to the project. Default: your active group."`
	projectFlags
}

// Run makes a project.
func (c *projectAddCmd) Run(ctx context.Context, io command.Streams) error {
	salt, err := c.salt()
	if err != nil {
		return err
	}
	n := client.NewProject{
		Name: c.Name, Description: value(c.Description), Group: c.Group,
		Profile: value(c.Profile), ProfileVersion: value(c.ProfileVersion),
		Members: value(splitList(c.Members)), Salt: value(salt),
		NoScan: c.Scan != nil && !*c.Scan, Manifest: value(c.Manifest),
	}
	p, err := command.AsMyself(
		ctx, io, &c.Remote, func(cl *client.Client) (client.Project, error) { return cl.Projects.Add(ctx, n) },
	)
	if err != nil {
		return err
	}
	return c.Say(
		io, p, "Project %s was made; it de-identifies by profile %s, version %s.",
		command.Printable(p.Name), command.Printable(p.Profile), command.Printable(p.ProfileVersion),
	)
}

type projectSetCmd struct {
	command.Remote
	Name string `complete:"project" arg:"" help:"Name of the project."`
	projectFlags
}

// Run changes a project.
func (c *projectSetCmd) Run(ctx context.Context, io command.Streams) error {
	salt, err := c.salt()
	if err != nil {
		return err
	}
	change := client.ProjectChange{
		Description: c.Description, Profile: c.Profile,
		ProfileVersion: c.ProfileVersion, Members: splitList(c.Members), Salt: salt,
		Scan: c.Scan, Manifest: c.Manifest,
	}
	if change == (client.ProjectChange{}) {
		return command.Usage("name at least one change; adit project set --help lists the flags")
	}
	p, err := command.AsMyself(
		ctx, io, &c.Remote,
		func(cl *client.Client) (client.Project, error) { return cl.Projects.Change(ctx, c.Name, change) },
	)
	if err != nil {
		return err
	}
	return c.Say(io, p, "Project %s was changed.", command.Printable(p.Name))
}

type projectProfileCmd struct {
	command.Remote
	Name           string  `complete:"project" arg:"" help:"Name of the project."`
	Profile        *string `complete:"profile" arg:"" optional:"" help:"Profile to use. Without it, the command shows the project's profile and what it does."`
	ProfileVersion *string `placeholder:"V" help:"Version of the profile. Default: the one uploaded last."`
}

// Run shows or chooses a project's profile.
func (c *projectProfileCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	var project client.Project
	if c.Profile == nil {
		project, err = cl.Projects.Get(ctx, c.Name)
	} else {
		project, err = command.AsMyself(ctx, io, &c.Remote, func(cl *client.Client) (client.Project, error) {
			return cl.Projects.Change(
				ctx, c.Name, client.ProjectChange{Profile: c.Profile, ProfileVersion: c.ProfileVersion},
			)
		})
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return command.PrintJSON(io.Out, project)
	}
	for p, err := range cl.Profiles.List(ctx) {
		if err != nil {
			return err
		}
		if p.Name == project.Profile && p.Version == project.ProfileVersion {
			printProfile(io.Out, p)
		}
	}
	if c.Profile == nil {
		fmt.Fprintf(
			io.Out, "What jobs of project %s send under a pseudonym is %s for what came in; they keep %s.\n",
			command.Printable(project.Name),
			map[bool]string{true: "searched", false: "not searched"}[project.Scan],
			map[bool]string{true: "a manifest", false: "no manifest"}[project.Manifest],
		)
	} else {
		fmt.Fprintf(io.Out,
			"Project %s uses it for jobs made from now on. If it gives another output than the one before, images "+
				"get other UIDs.\n",
			command.Printable(project.Name),
		)
	}
	return nil
}

func printProfile(w stdio.Writer, p client.Profile) {
	fmt.Fprintf(w, "%s, version %s (%s)\n", command.Printable(p.Name), command.Printable(p.Version), p.SHA256)
	for _, line := range p.Words {
		fmt.Fprintf(w, "  %s\n", command.Printable(line))
	}
}

type profileCmd struct {
	List profileListCmd `cmd:"" help:"List de-identification profiles, and what they do in plain words."`
	Add  profileAddCmd  `cmd:"" help:"Upload a profile in YAML for projects to use."`
}

type profileListCmd struct {
	command.Remote
}

// Run lists profiles.
func (c *profileListCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	profiles, err := command.Collect(cl.Profiles.List(ctx))
	if err != nil {
		return err
	}
	if c.JSON {
		return command.PrintJSON(io.Out, profiles)
	}
	for _, p := range profiles {
		printProfile(io.Out, p)
	}
	return nil
}

type profileAddCmd struct {
	command.Remote
	File string `arg:"" type:"existingfile" help:"The YAML file."`
}

// Run uploads a profile.
func (c *profileAddCmd) Run(ctx context.Context, io command.Streams) error {
	text, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	cl, err := c.Client()
	if err != nil {
		return err
	}
	p, err := cl.Profiles.Add(ctx, text)
	if err != nil {
		return err
	}
	return c.Tell(io, p, func(w stdio.Writer) error {
		printProfile(w, p)
		return nil
	})
}

type linkageCmd struct {
	List   linkageListCmd   `cmd:"" help:"List pseudonyms and their Patient IDs."`
	Import linkageImportCmd `cmd:"" help:"Add the pairs of a CSV file: all of them, or none if a row is faulty."`
	Export linkageExportCmd `cmd:"" help:"Write the whole table as CSV."`
}

type linkageListCmd struct {
	command.Remote
	Project   string `complete:"project" arg:"" help:"Name of the project."`
	Pseudonym string `placeholder:"P" help:"Only this pseudonym."`
	PatientID string `name:"patient-id" placeholder:"ID" help:"Only this patient."`
	Limit     int    `default:"50" placeholder:"N" help:"Maximum number of rows (${default}); 0: all."`
}

// Run lists a linkage table.
func (c *linkageListCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	links, more, err := command.UpTo(cl.Projects.Linkage(
		ctx, c.Project, client.LinkFilter{Pseudonym: c.Pseudonym, PatientID: c.PatientID, Part: client.Part{Limit: 500}},
	), c.Limit)
	if err != nil {
		return err
	}
	defer command.SayMore(io, more, len(links), "pseudonyms")
	if c.JSON {
		return command.PrintJSON(io.Out, links)
	}
	if len(links) == 0 {
		if c.Pseudonym == "" && c.PatientID == "" {
			fmt.Fprintf(io.Out, "Project %s has no pseudonyms yet.\n", command.Printable(c.Project))
		} else {
			fmt.Fprintf(io.Out, "Project %s has no such pseudonym.\n", command.Printable(c.Project))
		}
		return nil
	}
	trials := slices.ContainsFunc(links, func(l client.Link) bool { return l.TrialProtocolID != "" })
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "PSEUDONYM\tPATIENT ID\tISSUER")
	if trials {
		fmt.Fprint(w, "\tTRIAL")
	}
	fmt.Fprintln(w)
	for _, l := range links {
		patient := command.Printable(l.PatientID)
		if l.PatientID == "" {
			patient = "(study " + command.Printable(l.StudyInstanceUID) + ")"
		}
		fmt.Fprintf(w, "%s\t%s\t%s", command.Printable(l.Pseudonym), patient, command.Printable(l.Issuer))
		if trials {
			fmt.Fprintf(w, "\t%s", command.Printable(l.TrialProtocolID))
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

type linkageImportCmd struct {
	command.Remote
	Project string `complete:"project" arg:"" help:"Name of the project."`
	File    string `arg:"" type:"existingfile" help:"CSV file in UTF-8 with the columns Pseudonym and PatientID, optionally Issuer; or the CSV that the original ADIT exports of a mass transfer."`
	Issuer  string `placeholder:"NAME" help:"Issuer of the Patient IDs in rows without one, as set at the source (adit node set --issuer)."`
	DryRun  bool   `help:"Only check the file."`
}

// Run imports a linkage table.
func (c *linkageImportCmd) Run(ctx context.Context, io command.Streams) error {
	text, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	cl, err := c.Client()
	if err != nil {
		return err
	}
	result, err := cl.Projects.ImportLinkage(ctx, c.Project, text, c.Issuer, c.DryRun)
	if err != nil {
		return err
	}
	if c.JSON {
		return command.PrintJSON(io.Out, result)
	}
	added := words.Plural(result.Added, "pseudonym was", "pseudonyms were")
	if result.DryRun {
		added = words.Plural(result.Added, "pseudonym would be", "pseudonyms would be")
	}
	fmt.Fprintf(io.Out, "%s added, %s there already.\n", added, words.Plural(result.Present, "is", "are"))
	if result.OtherThanSalt > 0 {
		fmt.Fprintf(io.Out,
			"%d of them are not those that the project's salt gives: if it is all, the salt belongs to another mass "+
				"transfer, or to an older version of the original ADIT.\n",
			result.OtherThanSalt,
		)
	}
	return nil
}

type linkageExportCmd struct {
	command.Remote
	Project string `complete:"project" arg:"" help:"Name of the project."`
	Output  string `short:"o" type:"path" placeholder:"FILE" help:"File to write, readable by you alone; it must not exist. Default: the standard output."`
}

// Run exports a linkage table.
func (c *linkageExportCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	if c.JSON && c.Output == "" {
		links, err := command.Collect(cl.Projects.Linkage(ctx, c.Project, client.LinkFilter{Part: client.Part{Limit: 500}}))
		if err != nil {
			return err
		}
		return command.PrintJSON(io.Out, links)
	}
	if c.Output == "" {
		return cl.Projects.ExportLinkage(ctx, c.Project, io.Out)
	}
	var text strings.Builder // a part of a table is worse than none
	if err := cl.Projects.ExportLinkage(ctx, c.Project, &text); err != nil {
		return err
	}
	f, err := command.CreateNew(c.Output)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text.String())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil || !c.JSON {
		return err
	}
	return command.PrintJSON(io.Out, command.Done{"done": "exported", "project": c.Project, "file": c.Output})
}
