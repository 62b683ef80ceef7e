// SPDX-License-Identifier: AGPL-3.0-or-later

package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/adit-go/adit/client"
)

// Studies go from one server to another, and the program waits for the end.
func Example() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	found, err := c.Servers.Search(ctx, "PACS", client.StudyQuery{PatientID: "PHANTOM-002", StudyDateFrom: "20240101"})
	if err != nil {
		fmt.Println(err)
		return
	}
	order := client.NewJob{Kind: client.SelectiveTransfer, Source: "PACS", Destination: "research"}
	for _, s := range found.Items {
		order.Studies = append(
			order.Studies, client.NewStudy{StudyInstanceUID: s.StudyInstanceUID, PatientID: s.PatientID},
		)
	}
	job, err := c.Jobs.Create(ctx, order, "")
	if err == nil {
		job, err = c.Jobs.Wait(ctx, job.ID, nil)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(job.Message)
	// Output: All tasks succeeded.
}

// A program is told of a job and its tasks as they change, whichever process of ADIT works on them.
func ExampleLive_Follow() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	order := client.NewJob{Kind: client.SelectiveTransfer, Source: "PACS", Destination: "research"}
	for study, err := range c.Servers.Studies(ctx, "PACS", client.StudyQuery{PatientID: "PHANTOM-002"}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		order.Studies = append(order.Studies, client.NewStudy{StudyInstanceUID: study.StudyInstanceUID})
	}
	job, err := c.Jobs.Create(ctx, order, "")
	if err != nil {
		fmt.Println(err)
		return
	}
	for event, err := range c.Live.Follow(ctx, client.TopicOfJob(job.ID)) {
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, task := range event.Tasks {
			fmt.Fprintln(os.Stderr, "task", task.Seq, task.Status, task.Message)
		}
		if event.Job != nil && client.Final(event.Job.Status) {
			fmt.Println(event.Job.Status)
			break
		}
	}
	// Output: success
}

// A search shows each study as soon as the server has sent it; leaving the loop ends it at the server, too.
func ExampleLive_Studies() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	wanted := client.StudyQuery{PatientID: "PHANTOM-002"}
	for study, err := range c.Live.Studies(context.Background(), "PACS", wanted, nil) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(study.StudyDate, study.ModalitiesInStudy)
	}
	// Output:
	// 20240219 [MR]
	// 20240220 [SR US]
}

// A session does what a token may not, such as making another token.
func ExampleClient_LogIn() {
	ctx := context.Background()
	c, err := client.New(os.Getenv("ADIT_URL"))
	if err != nil {
		fmt.Println(err)
		return
	}
	session, err := c.LogIn(ctx, client.Login{Username: "researcher", Password: os.Getenv("ADIT_PASSWORD")})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := session.LogOut(ctx); err != nil {
		fmt.Println(err)
		return
	}
	_, err = session.Account.Get(ctx)
	if _, ended := errors.AsType[*client.SessionEndedError](err); ended {
		fmt.Println("log in again")
	}
	// Output: log in again
}

// A program may say that it waits for a network that is lost, and for how long it does.
func ExampleWithNotice() {
	c, err := client.New(
		os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")), client.WithPatience(5*time.Minute),
		client.WithNotice(func(err error, in time.Duration) {
			fmt.Fprintf(os.Stderr, "%v. Trying again in %s.\n", err, in.Round(time.Second))
		}),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	me, err := c.Account.Get(context.Background())
	fmt.Println(me.Username, err)
	// Output: admin <nil>
}

// Refusals are sentences with a code.
func ExampleProblem() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = c.Servers.Search(context.Background(), "PACS", client.StudyQuery{StudyDateFrom: "soon"})
	if problem, ok := errors.AsType[*client.Problem](err); ok {
		fmt.Println(problem.Code, problem.Errors[0].Field)
	}
	// Output: invalid study_date_from
}

// What is not there has a code of its own.
func ExampleIsCode() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = c.Jobs.Get(context.Background(), 4711)
	if client.IsCode(err, client.CodeNotFound) {
		fmt.Println("There is no such job, or it is somebody else's.")
	}
	// Output: There is no such job, or it is somebody else's.
}

// A change is only made to the version that was read.
func ExampleIfMatch() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	seen, err := c.Servers.Get(ctx, "research")
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 { // the second one has not seen what the first one did
		limit := seen.ResultLimit + 1
		_, err = c.Servers.Change(ctx, "research", client.ServerChange{ResultLimit: &limit}, client.IfMatch(seen.ETag))
		fmt.Println(client.IsCode(err, client.CodeChangedMeanwhile))
	}
	// Output:
	// false
	// true
}

// Preferences change one by one.
func ExampleAccount_Change() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	theme := "dark"
	me, err := c.Account.Change(context.Background(), client.MeChange{
		Preferences: &client.Preferences{Theme: &theme},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(me.Username, *me.Preferences.Theme)
	// Output: admin dark
}

// Who did what, the newest first.
func ExampleAudit_List() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	filter := client.AuditFilter{Username: "admin", Action: "server.pause"}
	for entry, err := range c.Audit.List(context.Background(), filter) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(entry.Username, entry.Action, entry.Object)
		break // the next pages are not asked for
	}
	// Output: admin server.pause server archive
}

// Rows of a file are asked for at a server; each result says which row it is for.
func ExampleBatch_Query() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	rows := []byte("PatientID,Modality\nPHANTOM-001,CT\nPHANTOM-002,MR\n") // or a whole .xlsx file
	jobs, err := c.Batch.Query(ctx, client.NewBatchQuery{
		BatchFile: client.BatchFile{File: rows}, Sources: []string{"PACS"},
	}, "")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, job := range jobs { // one for each source
		if _, err := c.Jobs.Wait(ctx, job.ID, nil); err != nil {
			fmt.Println(err)
			return
		}
		for found, err := range c.Batch.Results(ctx, job.ID, client.ResultFilter{}) {
			if err != nil {
				fmt.Println(err)
				return
			}
			fmt.Println("row", found.Row, found.PatientID, found.StudyDate, found.Modalities)
		}
	}
	// Unordered output:
	// row 2 PHANTOM-001 20240108 [CT SR]
	// row 2 PHANTOM-001 20240415 [CT]
	// row 3 PHANTOM-002 20240219 [MR]
}

// What a batch query found goes on to a server, as it is, with pseudonyms.
func ExampleBatch_Transfer() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	jobs, err := c.Batch.Query(ctx, client.NewBatchQuery{
		BatchFile: client.BatchFile{File: []byte("PatientID,Modality\nPHANTOM-001,CT\n")}, Sources: []string{"PACS"},
	}, "")
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := c.Jobs.Wait(ctx, jobs[0].ID, nil); err != nil {
		fmt.Println(err)
		return
	}
	var table bytes.Buffer
	if err := c.Batch.Export(ctx, jobs[0].ID, false, client.XLSX, &table); err != nil {
		fmt.Println(err)
		return
	}
	job, err := c.Batch.Transfer(ctx, client.NewBatchTransfer{
		BatchFile: client.BatchFile{File: table.Bytes()}, Source: "PACS", Destination: "research", Pseudonymize: true,
	}, "")
	if err == nil {
		job, err = c.Jobs.Wait(ctx, job.ID, nil)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(job.Tasks.Total(), job.Message)
	// Output: 2 All tasks succeeded.
}

// A file is checked before anything is made of it.
func ExampleBatch_Check() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	preview, err := c.Batch.Check(context.Background(), client.BatchToCheck{
		Kind: client.BatchQuery, BatchFile: client.BatchFile{File: []byte("PatientID,Modality\nPHANTOM-001,CT\nPHANTOM-002,\n")},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, fault := range preview.Faults {
		fmt.Println(fault.Cell, fault.Says)
	}
	// Output: B3 Modality is missing. It is needed unless AccessionNumber is given.
}

// A folder of the machine that ADIT runs on becomes a destination, with a quota.
func ExampleFolders_Add() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	folder, err := c.Folders.Add(context.Background(), client.FolderSettings{
		Name: "studies", Path: os.Getenv("STUDIES"), FolderLimits: client.FolderLimits{QuotaGB: 500, WarnGB: 450},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(folder.Name, folder.QuotaGB)
	// Output: studies 500
}

// A group, its members, and the servers that it may use.
func ExampleGroups_SetAccess() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	group := client.NewGroup{Name: "Stroke", Permissions: []string{"selective_transfer"}}
	if _, err := c.Groups.Add(ctx, group); err != nil {
		fmt.Println(err)
		return
	}
	if err := c.Groups.AddMember(ctx, "Stroke", "researcher"); err != nil {
		fmt.Println(err)
		return
	}
	access, err := c.Groups.SetAccess(ctx, client.Access{Group: "Stroke", Node: "PACS", Source: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(access.Group, access.Node, access.Source, access.Destination)
	// Output: Stroke PACS true false
}

// A job is followed until it has ended.
func ExampleJobs_Wait() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	job, err := c.Jobs.Create(ctx, client.NewJob{
		Kind: client.SelectiveTransfer, Source: "PACS", Destination: "research",
		Studies: []client.NewStudy{{StudyInstanceUID: "1.2.826.0.1.3680043.8.498.404"}}, // which PACS doesn't have
	}, "")
	if err != nil {
		fmt.Println(err)
		return
	}
	job, err = c.Jobs.Wait(ctx, job.ID, func(job client.Job) {
		fmt.Fprintln(os.Stderr, job.Status, job.Tasks.Success, "of", job.Tasks.Total())
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(job.Status)
	// Output: failure
}

// A list is read page by page, as far as the loop goes.
func ExampleJobs_List() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	for job, err := range c.Jobs.List(context.Background(), client.JobFilter{Status: client.Failure, Sort: "id"}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(job.Source, job.Destination, job.Status)
		break
	}
	// Output: PACS research failure
}

// Mails that could not be delivered.
func ExampleMails_List() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	lost := 0
	for mail, err := range c.Mails.List(context.Background(), client.MailFilter{Status: "given_up"}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(mail.Recipient, mail.Error)
		lost++
	}
	fmt.Println(lost, "mails were given up")
	// Output: 0 mails were given up
}

// Does a server answer, and as it is configured?
func ExampleNodes_Check() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	report, err := c.Nodes.Check(context.Background(), "PACS")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, check := range report.Checks {
		if !check.OK {
			fmt.Println(check.Name, check.Detail)
		}
	}
	fmt.Println("first:", report.Checks[0].Name, report.Checks[0].OK)
	// Output: first: association true
}

// A profile of one's own builds on one that comes with ADIT.
func ExampleProfiles_Add() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	profile, err := c.Profiles.Add(context.Background(), []byte("name: neuro\nversion: \"2\"\nbase: adit\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(profile.Name, profile.Version, profile.Builtin)
	// Output: neuro 2 false
}

// A project has a key of its own; its linkage table says who is behind a pseudonym.
func ExampleProjects_ImportLinkage() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if _, err := c.Projects.Add(ctx, client.NewProject{Name: "stroke-2026", Group: "Radiology"}); err != nil {
		fmt.Println(err)
		return
	}
	table := []byte("patient_id,pseudonym\nPHANTOM-001,SUBJ-001\nPHANTOM-002,SUBJ-002\n")
	done, err := c.Projects.ImportLinkage(ctx, "stroke-2026", table, "", false)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(done.Added, "pairs were added")
	// Output: 2 pairs were added
}

// What servers sent without having been asked.
func ExampleQuarantine_List() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	for object, err := range c.Quarantine.List(context.Background()) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(object.ID, object.Server, object.SOPClassUID)
	}
	// Output:
}

// Somebody asks for an account, and staff approves.
func ExampleRegistrations_Approve() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	err = c.Registrations.Add(ctx, client.NewRegistration{
		Username: "newcomer", Person: client.Person{Mail: "newcomer@example.org"}, Message: "For the stroke study",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for r, err := range c.Registrations.List(ctx) {
		if err != nil {
			fmt.Println(err)
			return
		}
		user, err := c.Registrations.Approve(ctx, r.ID, client.Approval{Groups: []string{"Radiology"}})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(user.Username, user.Groups)
	}
	// Output: newcomer [Radiology]
}

// The studies of a patient. If there were more than the server lets through, the last error would say so.
func ExampleServers_Studies() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	query := client.StudyQuery{PatientID: "PHANTOM-002"}
	for study, err := range c.Servers.Studies(context.Background(), "PACS", query) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(study.StudyDate, study.StudyDescription)
	}
	// Output:
	// 20240219 MR Schädel
	// 20240220 Ultraschall Abdomen
}

// A search has no pages: what is truncated takes a narrower one.
func ExampleServers_Search() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	found, err := c.Servers.Search(context.Background(), "PACS", client.StudyQuery{PatientID: "PHANTOM-001"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, study := range found.Items {
		fmt.Println(study.StudyDate, study.StudyDescription)
	}
	fmt.Println("more:", found.Truncated)
	// Output:
	// 20240108 CT abdomen
	// 20240415 CT abdomen, follow-up
	// more: false
}

// Everybody who is logged in sees the announcement.
func ExampleSite_Announce() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	announced, err := c.Site.Announce(ctx, "Maintenance tonight from 22:00 to 23:00.")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(announced.Text)
	fmt.Println(c.Site.EndAnnouncement(ctx, client.IfMatch(announced.ETag)))
	// Output:
	// Maintenance tonight from 22:00 to 23:00.
	// <nil>
}

// What failed of the jobs, and why.
func ExampleTasks_List() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	for job, err := range c.Jobs.List(ctx, client.JobFilter{Status: client.Failure}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		for task, err := range c.Tasks.List(ctx, job.ID, client.TaskFilter{Status: client.Failure}) {
			if err != nil {
				fmt.Println(err)
				return
			}
			fmt.Println(task.Message)
		}
		break
	}
	// Output: The source PACS has no study 1.2.826.0.1.3680043.8.498.404; check the Study Instance UID.
}

// A token for a script that runs each night. Its secret is shown this once.
func ExampleTokens_Create() {
	ctx := context.Background()
	c, err := client.New(os.Getenv("ADIT_URL"))
	if err != nil {
		fmt.Println(err)
		return
	}
	session, err := c.LogIn(ctx, client.Login{Username: "researcher", Password: os.Getenv("ADIT_PASSWORD")})
	if err != nil {
		fmt.Println(err)
		return
	}
	token, err := session.Tokens.Create(ctx, client.NewToken{
		Description: "nightly export", Lifetime: client.Lifetime30Days,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(token.Username, len(token.Secret))
	// Output: researcher 40
}

// Accounts of a group.
func ExampleUsers_List() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	active := true
	for user, err := range c.Users.List(context.Background(), client.UserFilter{Search: "research", Active: &active}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(user.Username, user.Department)
	}
	// Output: researcher Radiology
}

// Which tokens were used this month, and how often in vain.
func ExampleUsers_Use() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	filter := client.UseFilter{From: "2026-01-01", To: "2026-01-31"}
	for use, err := range c.Users.Use(context.Background(), filter) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(use.Day, use.Username, use.Token, use.Operation, use.Requests, use.ClientErrors)
	}
	// Output: 2026-01-15 researcher nightly export list-jobs 1440 3
}

// The members of a name run four tasks at once.
func ExampleWorkers_Set() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	set, err := c.Workers.Set(context.Background(), "pacs-gateway", client.WorkerSchedule{Default: 4})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(set.Default)
	// Output: 4
}

// Members of the cluster that count, and what each of them is for.
func ExampleCluster_Members() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	members, err := c.Cluster.Members(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range members {
		if m.Ended == "" {
			fmt.Println(m.Name, m.Roles, m.Tasks, "of", m.Workers)
		}
	}
	// Output: example [web worker receiver] 0 of 0
}

// A table is written to whatever takes it. A part is never taken for the whole: if it breaks off, that is an error.
func ExampleProjects_ExportLinkage() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	var table bytes.Buffer
	if err := c.Projects.ExportLinkage(context.Background(), "stroke-2026", &table); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(bytes.Count(table.Bytes(), []byte("\n")), "lines")
	// Output: 3 lines
}

// A dry run counts what a PACS has of some days; begun, the same job moves it.
func ExampleMass_Create() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	job, err := c.Mass.Create(ctx, client.NewMassTransfer{
		MassSettings: client.MassSettings{
			Source: "PACS", Destination: "research", Partitions: client.Weekly,
			Filters: []client.MassFilter{{Modality: "CT", StudyDescription: "*abdomen*"}},
		},
		StartDate: "2024-01-01", EndDate: "2024-01-14", DryRun: true,
	}, "")
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := c.Jobs.Wait(ctx, job.ID, nil); err != nil {
		fmt.Println(err)
		return
	}
	for week, err := range c.Mass.Partitions(ctx, job.ID) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(week.From, week.To, week.Status)
	}
	// Output:
	// 2024-01-01 2024-01-07 success
	// 2024-01-08 2024-01-14 success
}

// Every night what is new.
func ExampleRecurrences_Create() {
	c, err := client.New(os.Getenv("ADIT_URL"), client.WithToken(os.Getenv("ADIT_TOKEN")))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	made, err := c.Recurrences.Create(ctx, client.NewRecurrence{
		Plan: client.Plan{At: "02:00", OverlapDays: 7},
		Mass: &client.RecurringMass{
			MassSettings: client.MassSettings{
				Source: "PACS", Destination: "research", Filters: []client.MassFilter{{Modality: "MR"}},
			},
			StartDate: "2026-12-01",
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(made.Kind, made.At, made.Paused)
	if err := c.Recurrences.Delete(ctx, made.ID); err != nil {
		fmt.Println(err)
	}
	// Output: mass_transfer 02:00 false
}
