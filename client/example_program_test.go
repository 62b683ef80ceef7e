// SPDX-License-Identifier: AGPL-3.0-or-later

package client_test

import (
	"context"
	"fmt"
	"os"

	"github.com/adit-go/adit/client"
)

// transfer sends all studies of a patient from one server to another, and says what became of them.
func transfer(ctx context.Context, c *client.Client, patientID string) error {
	order := client.NewJob{Kind: client.SelectiveTransfer, Source: "PACS", Destination: "research"}
	for s, err := range c.Servers.Studies(ctx, "PACS", client.StudyQuery{PatientID: patientID}) {
		if err != nil {
			return err
		}
		order.Studies = append(
			order.Studies, client.NewStudy{StudyInstanceUID: s.StudyInstanceUID, PatientID: s.PatientID},
		)
	}
	// one that PACS does not have, so that there is something to list
	order.Studies = append(order.Studies, client.NewStudy{StudyInstanceUID: "1.2.826.0.1.3680043.8.498.404"})
	job, err := c.Jobs.Create(ctx, order, "")
	if err != nil {
		return err
	}
	job, err = c.Jobs.Wait(ctx, job.ID, func(job client.Job) {
		done := job.Tasks.Total() - job.Tasks.Pending - job.Tasks.InProgress
		fmt.Fprintf(os.Stderr, "%s: %d of %d studies\n", job.Status, done, job.Tasks.Total())
	})
	if err != nil {
		return err
	}
	fmt.Printf("%s: %d of %d studies were transferred.\n", job.Status, job.Tasks.Success, job.Tasks.Total())
	for listed, err := range c.Tasks.List(ctx, job.ID, client.TaskFilter{Status: client.Failure}) {
		if err != nil {
			return err
		}
		fmt.Println(listed.Message)
		task, err := c.Tasks.Get(ctx, listed.ID)
		if err != nil {
			return err
		}
		for _, series := range task.Series {
			for _, missing := range series.Missing {
				fmt.Println("  lacks", missing.SOPInstanceUID, missing.Reason)
			}
		}
	}
	return nil
}

// A whole program: it logs in, searches, makes a job, follows it, and lists what failed. A network that is lost
// meanwhile for less than a minute does not end it.
func Example_program() {
	ctx := context.Background()
	c, err := client.New(os.Getenv("ADIT_URL"))
	if err != nil {
		fmt.Println(err)
		return
	}
	session, err := c.LogIn(ctx, client.Login{
		Username: os.Getenv("ADIT_USER"), Password: os.Getenv("ADIT_PASSWORD"),
	})
	if client.IsCode(err, client.CodeUnauthenticated) {
		fmt.Println("The username or the password is wrong.")
		return
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = session.LogOut(ctx) }()
	if err := transfer(ctx, session, "PHANTOM-001"); err != nil {
		fmt.Println(err)
	}
	// Output:
	// failure: 2 of 3 studies were transferred.
	// The source PACS has no study 1.2.826.0.1.3680043.8.498.404; check the Study Instance UID.
}
