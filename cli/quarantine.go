// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/adit-go/adit/dicom/dict"
)

type quarantineCmd struct {
	Senders quarantineSendersCmd `cmd:"" help:"List who sent objects that nobody had asked for: from where, when and how many."`
	List    quarantineListCmd    `cmd:"" help:"List those that are kept (adit serve --quarantine)."`
	Show    quarantineShowCmd    `cmd:"" help:"Show one of them, with what it says of itself."`
	Release quarantineReleaseCmd `cmd:"" help:"Send one of them to a server as it came; it leaves the quarantine when the server has acknowledged it."`
	Delete  quarantineDeleteCmd  `cmd:"" help:"Delete one of them."`
}

type quarantineSendersCmd struct {
	remote
	JSON bool `name:"json" help:"Write JSON."`
}

// Run lists the senders.
func (c *quarantineSendersCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	all, err := collect(cl.ForeignObjects(ctx))
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(io.out, all)
	}
	w := tabwriter.NewWriter(io.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "SERVER\tCALLING AE\tADDRESS\tSOP CLASS\tOBJECTS\tKEPT\tFIRST\tLAST")
	for _, f := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\n", printable(f.Server), printable(f.CallingAE), f.Address, className(f.SOPClassUID),
			f.Objects, f.Quarantined, clock(f.First), clock(f.Last))
	}
	return w.Flush()
}

// className gives the name of a SOP class, or what it is called where nobody knows it.
func className(uid string) string {
	if known, ok := dict.LookupUID(uid); ok {
		return known.Name
	}
	return printable(uid)
}

type quarantineListCmd struct {
	remote
	JSON bool `name:"json" help:"Write JSON."`
}

// Run lists the quarantine.
func (c *quarantineListCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	all, err := collect(cl.Quarantine(ctx))
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(io.out, all)
	}
	w := tabwriter.NewWriter(io.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tARRIVED\tSERVER\tCALLING AE\tADDRESS\tSOP CLASS\tBYTES")
	for _, o := range all {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%d\n", o.ID, clock(o.ArrivedAt), printable(o.Server), printable(o.CallingAE), o.Address, className(o.SOPClassUID), o.Bytes)
	}
	return w.Flush()
}

type quarantineShowCmd struct {
	remote
	ID   int64 `arg:"" help:"ID of the object, as list gives it."`
	JSON bool  `name:"json" help:"Write JSON."`
}

// Run shows the object.
func (c *quarantineShowCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	o, err := cl.QuarantinedObject(ctx, c.ID)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(io.out, o)
	}
	fmt.Fprintf(io.out, "%s, %d bytes, from DICOM Server %s (%s at %s) on %s\nSOP Instance UID %s\n",
		className(o.SOPClassUID), o.Bytes, printable(o.Server), printable(o.CallingAE), o.Address, clock(o.ArrivedAt), o.SOPInstanceUID)
	if o.Object == nil {
		fmt.Fprintln(io.out, "Its file is kept by another node.")
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
		fmt.Fprintf(io.out, "%s: %s\n", line[0], printable(line[1]))
	}
	return nil
}

type quarantineReleaseCmd struct {
	remote
	ID int64  `arg:"" help:"ID of the object, as list gives it."`
	To string `required:"" placeholder:"SERVER" help:"Name of the server that it is sent to."`
}

// Run releases the object.
func (c *quarantineReleaseCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	if err := cl.ReleaseQuarantined(ctx, c.ID, c.To); err != nil {
		return err
	}
	fmt.Fprintf(io.out, "Object %d is at DICOM Server %s, and not in the quarantine any more.\n", c.ID, c.To)
	return nil
}

type quarantineDeleteCmd struct {
	remote
	ID int64 `arg:"" help:"ID of the object, as list gives it."`
}

// Run deletes the object.
func (c *quarantineDeleteCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	if err := cl.DeleteQuarantined(ctx, c.ID); err != nil {
		return err
	}
	fmt.Fprintf(io.out, "Object %d was deleted.\n", c.ID)
	return nil
}
