// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/dicom/dict"
)

type quarantineCmd struct {
	Senders quarantineSendersCmd `cmd:"" help:"List the senders of unrequested instances: from where, when and how many."`
	List    quarantineListCmd    `cmd:"" help:"List the instances in quarantine (see adit serve --quarantine)."`
	Show    quarantineShowCmd    `cmd:"" help:"Show an instance in quarantine, with its patient and study."`
	Release quarantineReleaseCmd `cmd:"" help:"Send an instance unchanged to a server. It leaves the quarantine when the server has acknowledged it."`
	Delete  quarantineDeleteCmd  `cmd:"" help:"Delete an instance in quarantine."`
}

type quarantineSendersCmd struct {
	command.Remote
}

// Run lists the senders.
func (c *quarantineSendersCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	all, err := command.Collect(cl.Quarantine.Senders(ctx))
	if err != nil {
		return err
	}
	if c.JSON {
		return command.PrintJSON(io.Out, all)
	}
	if len(all) == 0 {
		fmt.Fprintln(io.Out, "No server has sent instances that nobody had asked for.")
		return nil
	}
	w := tabwriter.NewWriter(io.Out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "SERVER\tCALLING AE\tADDRESS\tSOP CLASS\tINSTANCES\tKEPT\tFIRST\tLAST")
	for _, f := range all {
		fmt.Fprintf(
			w, "%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\n", command.Printable(f.Server),
			command.Printable(f.CallingAE), f.Address, className(f.SOPClassUID),
			f.Instances, f.Quarantined, command.Stamp(f.First), command.Stamp(f.Last),
		)
	}
	return w.Flush()
}

// className returns the name of a SOP class, or what it is called where nobody knows it.
func className(uid string) string {
	if known, ok := dict.LookupUID(uid); ok {
		return known.Name
	}
	return command.Printable(uid)
}

type quarantineListCmd struct {
	command.Remote
}

// Run lists the quarantine.
func (c *quarantineListCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	all, err := command.Collect(cl.Quarantine.List(ctx))
	if err != nil {
		return err
	}
	if c.JSON {
		return command.PrintJSON(io.Out, all)
	}
	if len(all) == 0 {
		fmt.Fprintln(io.Out, "The quarantine is empty.")
		return nil
	}
	w := tabwriter.NewWriter(io.Out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tARRIVED\tSERVER\tCALLING AE\tADDRESS\tSOP CLASS\tBYTES")
	for _, o := range all {
		fmt.Fprintf(
			w, "%d\t%s\t%s\t%s\t%s\t%s\t%d\n", o.ID, command.Stamp(o.ArrivedAt), command.Printable(o.Server),
			command.Printable(o.CallingAE), o.Address, className(o.SOPClassUID), o.Bytes,
		)
	}
	return w.Flush()
}

type quarantineShowCmd struct {
	command.Remote
	ID int64 `arg:"" help:"Number of the instance, as adit quarantine list shows it."`
}

// Run shows the object.
func (c *quarantineShowCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	o, err := cl.Quarantine.Get(ctx, c.ID)
	if err != nil {
		return err
	}
	if c.JSON {
		return command.PrintJSON(io.Out, o)
	}
	fmt.Fprintf(io.Out, "%s, %d bytes, from DICOM Server %s (%s at %s) on %s\nSOP Instance UID %s\n",
		className(o.SOPClassUID), o.Bytes, command.Printable(o.Server),
		command.Printable(o.CallingAE), o.Address, command.Stamp(o.ArrivedAt), o.SOPInstanceUID)
	if o.Object == nil {
		fmt.Fprintln(io.Out, "Another member of the cluster holds its file.")
		return nil
	}
	for _, line := range [][2]string{
		{"Patient ID", o.Object.PatientID},
		{"Patient's Name", o.Object.PatientName},
		{"Patient's Birth Date", o.Object.PatientBirthDate},
		{"Accession Number", o.Object.AccessionNumber},
		{"Study Date", o.Object.StudyDate},
		{"Study Description", o.Object.StudyDescription},
		{"Modality", o.Object.Modality},
		{"Study Instance UID", o.Object.StudyInstanceUID},
		{"Series Instance UID", o.Object.SeriesInstanceUID},
	} {
		fmt.Fprintf(io.Out, "%s: %s\n", line[0], command.Printable(line[1]))
	}
	return nil
}

type quarantineReleaseCmd struct {
	command.Remote
	ID int64  `arg:"" help:"Number of the instance, as adit quarantine list shows it."`
	To string `complete:"server" required:"" placeholder:"SERVER" help:"Name of the server to send it to."`
}

// Run releases the object.
func (c *quarantineReleaseCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	if err := cl.Quarantine.Release(ctx, c.ID, c.To); err != nil {
		return err
	}
	return c.Say(
		io, command.Done{"done": "released", "object": c.ID, "destination": c.To},
		"Instance %d was sent to DICOM Server %s and has left the quarantine.", c.ID, c.To,
	)
}

type quarantineDeleteCmd struct {
	command.Remote
	ID int64 `arg:"" help:"Number of the instance, as adit quarantine list shows it."`
}

// Run deletes the object.
func (c *quarantineDeleteCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	if err := cl.Quarantine.Delete(ctx, c.ID); err != nil {
		return err
	}
	return c.Say(io, command.Done{"done": "deleted", "object": c.ID}, "Instance %d was deleted.", c.ID)
}
