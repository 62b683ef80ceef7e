// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/adit-go/adit/client"
)

type projectCmd struct {
	List    projectListCmd    `cmd:"" help:"List the projects that you belong to."`
	Add     projectAddCmd     `cmd:"" help:"Make a project with a key of its own."`
	Set     projectSetCmd     `cmd:"" help:"Change a project."`
	Profile projectProfileCmd `cmd:"" help:"Show or choose the de-identification profile of a project."`
	Linkage linkageCmd        `cmd:"" help:"Who is behind the pseudonyms of a project; needs the permission \"linkage\"."`
}

type projectListCmd struct {
	remote
	JSON bool `name:"json" help:"Write JSON."`
}

// Run lists projects.
func (c *projectListCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	projects, err := collect(cl.Projects(ctx))
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(io.out, projects)
	}
	w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tGROUP\tPROFILE\tVERSION\tGENERATION\tSCAN\tMANIFEST\tMEMBERS\tDESCRIPTION")
	for _, p := range projects {
		name := printable(p.Name)
		if p.IsDefault {
			name += " (default of its group)"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", name, printable(p.Group), printable(p.Profile), printable(p.ProfileVersion), p.UIDGeneration,
			onOff(p.Scan), onOff(p.Manifest),
			printable(strings.Join(p.Members, ",")), printable(p.Description))
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
	Description    *string `placeholder:"TEXT" help:"What it is about."`
	Profile        *string `placeholder:"NAME" help:"De-identification profile: one of ${deid_profiles}, or one that was uploaded (adit profile list)."`
	ProfileVersion *string `placeholder:"V" help:"Version of the profile (the one uploaded last)."`
	Members        *string `placeholder:"USER,…" help:"User names of those who belong to it besides its group; all of them."`
	Scan           *bool   `negatable:"" help:"Search what jobs made from now on send under a pseudonym for what came in, and hold back what has a finding (on)."`
	Manifest       *bool   `negatable:"" help:"Have jobs made from now on that pseudonymize keep a manifest: adit job manifest."`
	SaltFile       *string `type:"path" placeholder:"FILE" help:"File with the pseudonym salt of a mass transfer of the original ADIT: new pseudonyms are derived from it as there. An empty file takes it away."`
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
	text, err := io.ReadAll(io.LimitReader(file, 4<<10))
	salt := strings.TrimSpace(string(text))
	return &salt, err
}

type projectAddCmd struct {
	remote
	Name  string `arg:"" help:"How it is called; unique."`
	Group string `placeholder:"NAME" help:"Whose members belong to it (your active group)."`
	projectFlags
}

// Run makes a project.
func (c *projectAddCmd) Run(ctx context.Context, io streams) error {
	salt, err := c.salt()
	if err != nil {
		return err
	}
	cl, err := c.client()
	if err != nil {
		return err
	}
	p, err := cl.AddProject(ctx, client.NewProject{
		Name: c.Name, Description: value(c.Description), Group: c.Group, Profile: value(c.Profile), ProfileVersion: value(c.ProfileVersion),
		Members: value(splitList(c.Members)), Salt: value(salt), NoScan: c.Scan != nil && !*c.Scan, Manifest: value(c.Manifest),
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "Project %s was made; it de-identifies by profile %s, version %s.\n", printable(p.Name), printable(p.Profile), printable(p.ProfileVersion))
	return nil
}

type projectSetCmd struct {
	remote
	Name string `arg:"" help:"Name of the project."`
	projectFlags
}

// Run changes a project.
func (c *projectSetCmd) Run(ctx context.Context, io streams) error {
	salt, err := c.salt()
	if err != nil {
		return err
	}
	change := client.ProjectChange{
		Description: c.Description, Profile: c.Profile, ProfileVersion: c.ProfileVersion, Members: splitList(c.Members), Salt: salt,
		Scan: c.Scan, Manifest: c.Manifest,
	}
	if change == (client.ProjectChange{}) {
		return usage("say what is to be changed; adit project set --help lists what can be")
	}
	cl, err := c.client()
	if err != nil {
		return err
	}
	p, err := cl.ChangeProject(ctx, c.Name, change)
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "Project %s was changed.\n", printable(p.Name))
	return nil
}

type projectProfileCmd struct {
	remote
	Name           string  `arg:"" help:"Name of the project."`
	Profile        *string `arg:"" optional:"" help:"Profile to choose; without, it is shown which it has and what that means."`
	ProfileVersion *string `placeholder:"V" help:"Version of the profile (the one uploaded last)."`
}

// Run shows or chooses a project's profile.
func (c *projectProfileCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	var project client.Project
	if c.Profile == nil {
		project, err = cl.Project(ctx, c.Name)
	} else {
		project, err = cl.ChangeProject(ctx, c.Name, client.ProjectChange{Profile: c.Profile, ProfileVersion: c.ProfileVersion})
	}
	if err != nil {
		return err
	}
	for p, err := range cl.Profiles(ctx) {
		if err != nil {
			return err
		}
		if p.Name == project.Profile && p.Version == project.ProfileVersion {
			printProfile(io.out, p)
		}
	}
	if c.Profile == nil {
		fmt.Fprintf(io.out, "What jobs of project %s send under a pseudonym is %s for what came in; they keep %s.\n", printable(project.Name),
			map[bool]string{true: "searched", false: "not searched"}[project.Scan], map[bool]string{true: "a manifest", false: "no manifest"}[project.Manifest])
	} else {
		fmt.Fprintf(io.out, "Project %s uses it for jobs made from now on. If it gives another output than the one before, images get other UIDs.\n", printable(project.Name))
	}
	return nil
}

func printProfile(w io.Writer, p client.Profile) {
	fmt.Fprintf(w, "%s, version %s (%s)\n", printable(p.Name), printable(p.Version), p.SHA256)
	for _, line := range p.Words {
		fmt.Fprintf(w, "  %s\n", printable(line))
	}
}

type profileCmd struct {
	List profileListCmd `cmd:"" help:"List de-identification profiles, and what they do in plain words."`
	Add  profileAddCmd  `cmd:"" help:"Upload a profile in YAML for projects to use."`
}

type profileListCmd struct {
	remote
	JSON bool `name:"json" help:"Write JSON."`
}

// Run lists profiles.
func (c *profileListCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	profiles, err := collect(cl.Profiles(ctx))
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(io.out, profiles)
	}
	for _, p := range profiles {
		printProfile(io.out, p)
	}
	return nil
}

type profileAddCmd struct {
	remote
	File string `arg:"" type:"existingfile" help:"The profile."`
}

// Run uploads a profile.
func (c *profileAddCmd) Run(ctx context.Context, io streams) error {
	text, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	cl, err := c.client()
	if err != nil {
		return err
	}
	p, err := cl.AddProfile(ctx, text)
	if err != nil {
		return err
	}
	printProfile(io.out, p)
	return nil
}

type linkageCmd struct {
	List   linkageListCmd   `cmd:"" help:"List pseudonyms and Patient IDs."`
	Import linkageImportCmd `cmd:"" help:"Add pairs of a CSV file: all, or none if a row is faulty."`
	Export linkageExportCmd `cmd:"" help:"Write the whole table as CSV."`
}

type linkageListCmd struct {
	remote
	Project   string `arg:"" help:"Name of the project."`
	Pseudonym string `placeholder:"P" help:"Only this pseudonym."`
	PatientID string `name:"patient-id" placeholder:"ID" help:"Only this patient."`
	Limit     int    `default:"50" placeholder:"N" help:"Most rows (${default}); 0: all."`
	JSON      bool   `name:"json" help:"Write JSON."`
}

// Run lists a linkage table.
func (c *linkageListCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	links, more, err := upTo(cl.Linkage(ctx, c.Project, client.LinkFilter{Pseudonym: c.Pseudonym, PatientID: c.PatientID, Limit: 500}), c.Limit)
	if err != nil {
		return err
	}
	defer sayMore(io, more, len(links), "pseudonyms")
	if c.JSON {
		return printJSON(io.out, links)
	}
	if len(links) == 0 {
		fmt.Fprintln(io.out, "There is no such pseudonym.")
		return nil
	}
	trials := slices.ContainsFunc(links, func(l client.Link) bool { return l.TrialProtocolID != "" })
	w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "PSEUDONYM\tPATIENT ID\tISSUER")
	if trials {
		fmt.Fprint(w, "\tTRIAL")
	}
	fmt.Fprintln(w)
	for _, l := range links {
		patient := printable(l.PatientID)
		if l.PatientID == "" {
			patient = "(study " + printable(l.StudyInstanceUID) + ")"
		}
		fmt.Fprintf(w, "%s\t%s\t%s", printable(l.Pseudonym), patient, printable(l.Issuer))
		if trials {
			fmt.Fprintf(w, "\t%s", printable(l.TrialProtocolID))
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

type linkageImportCmd struct {
	remote
	Project string `arg:"" help:"Name of the project."`
	File    string `arg:"" type:"existingfile" help:"CSV file, UTF-8, with the columns Pseudonym and PatientID, and if wanted Issuer; or the CSV that the original ADIT exports of a mass transfer."`
	Issuer  string `placeholder:"NAME" help:"Issuer of the Patient IDs of rows that name none, as set at the source (adit node set --issuer)."`
	DryRun  bool   `help:"Only check the file."`
}

// Run imports a linkage table.
func (c *linkageImportCmd) Run(ctx context.Context, io streams) error {
	text, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	cl, err := c.client()
	if err != nil {
		return err
	}
	result, err := cl.ImportLinkage(ctx, c.Project, text, c.Issuer, c.DryRun)
	if err != nil {
		return err
	}
	done := "were"
	if result.DryRun {
		done = "would be"
	}
	fmt.Fprintf(io.out, "%d pseudonyms %s added, %d are there already.\n", result.Added, done, result.Present)
	if result.OtherThanSalt > 0 {
		fmt.Fprintf(io.out, "%d of them are not those that the project's salt gives: if it is all, the salt belongs to another mass transfer, or to an older version of the original ADIT.\n", result.OtherThanSalt)
	}
	return nil
}

type linkageExportCmd struct {
	remote
	Project string `arg:"" help:"Name of the project."`
	Output  string `short:"o" type:"path" placeholder:"FILE" help:"File to write, readable for you alone; it must not exist (standard output)."`
}

// Run exports a linkage table.
func (c *linkageExportCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	if c.Output == "" {
		return cl.ExportLinkage(ctx, c.Project, io.out)
	}
	var text strings.Builder // a part of a table is worse than none
	if err := cl.ExportLinkage(ctx, c.Project, &text); err != nil {
		return err
	}
	f, err := createNew(c.Output)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text.String())
	return errors.Join(err, f.Sync(), f.Close())
}
