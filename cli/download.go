// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"cmp"
	"context"
	stdio "io"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/client"
)

type downloadCmd struct {
	command.Remote
	Source        string   `complete:"source" required:"" placeholder:"NAME" help:"Name of the server to read from."`
	Study         string   `required:"" placeholder:"UID" help:"Study Instance UID."`
	Series        []string `placeholder:"UID" help:"Only these series of the study."`
	Project       string   `complete:"project" placeholder:"NAME" help:"Project whose key and profile pseudonymize. Default: the default project of your active group."`
	Pseudonym     *string  `placeholder:"P" help:"De-identify, with this pseudonym for the patient."`
	TrialProtocol string   `api:"trial_protocol_id" name:"trial-id" placeholder:"ID" help:"Write this Clinical Trial Protocol ID."`
	TrialName     string   `api:"trial_protocol_name" name:"trial-name" placeholder:"NAME" help:"Write this Clinical Trial Protocol Name."`
	To            string   `name:"output" short:"o" type:"path" placeholder:"FILE" help:"Write to this file, which must not exist yet; - is the standard output. Default: study_download_UID.zip, or with the pseudonym instead."`
}

// Help tells what is in the zip.
func (c *downloadCmd) Help() string {
	return `The zip has a file for each instance, below folders as a transfer into a folder makes them. It is fetched from the server while it comes, and nothing is kept. If anything is missing or breaks off, the command fails and leaves no file.

With --pseudonym the study is de-identified by the profile of the project, which adit project profile NAME explains; without it you need the permission transfer_unpseudonymized.`
}

// Run downloads.
func (c *downloadCmd) Run(ctx context.Context, io command.Streams) error {
	if c.Pseudonym != nil && *c.Pseudonym == "" {
		return command.Usage("the pseudonym is empty: give one, or leave the flag out to take the study as it is")
	}
	if c.To == "-" && c.JSON {
		return command.Usage("--json tells of a file that was written; name the file by --output")
	}
	wanted := client.StudyDownload{
		StudyInstanceUID: c.Study, SeriesInstanceUIDs: c.Series, Project: c.Project, TrialProtocolID: c.TrialProtocol,
		TrialProtocolName: c.TrialName,
	}
	if c.Pseudonym != nil {
		wanted.Pseudonym = *c.Pseudonym
	}
	cl, err := c.Client()
	if err != nil {
		return err
	}
	download := func(w stdio.Writer) error { return cl.Servers.Download(ctx, c.Source, wanted, w) }
	if c.To == "-" {
		return download(io.Out)
	}
	to := c.To
	if to == "" {
		to = "study_download_" + cmp.Or(wanted.Pseudonym, c.Study) + ".zip"
	}
	if err := command.WriteNew(to, download); err != nil {
		return err
	}
	return c.Say(io, command.Done{"done": "written", "file": to}, "%s was written.", command.Printable(to))
}
