// SPDX-License-Identifier: AGPL-3.0-or-later

package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/adit-go/adit/client"
)

// exampleServer answers as an ADIT does.
func exampleServer() *httptest.Server {
	mux := http.NewServeMux()
	for pattern, body := range map[string]string{
		"POST /api/v1/servers/PACS/studies:search": `{"items":[{"study_instance_uid":"1.2.3","patient_id":"4711"}]}`,
		"POST /api/v1/jobs":                        `{"id":7,"status":"pending"}`,
		"GET /api/v1/jobs/7":                       `{"id":7,"status":"success","message":"All tasks succeeded."}`,
		"GET /api/v1/jobs":                         `{"items":[{"id":9,"status":"failure"},{"id":4,"status":"failure"}]}`,
		"GET /api/v1/jobs/8/tasks":                 `{"items":[{"id":9}]}`,
		"GET /api/v1/tasks/9":                      `{"id":9,"series":[{"missing":[{"sop_instance_uid":"1.2.3.4","status":"A700","reason":"out of resources"}]}]}`,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
	}
	mux.HandleFunc("POST /api/v1/jobs/{action}", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w,
			`{"status":409,"detail":"The job is success; cancel is possible only when it is pending or in progress."}`,
		)
	})
	return httptest.NewServer(mux)
}

// Studies go from one server to another, and the program waits for the end.
func Example() {
	server := exampleServer()
	defer server.Close()

	c, err := client.New(server.URL, client.WithToken("0123456789abcdef0123456789abcdef01234567"))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	found, err := c.Servers.Search(ctx, "PACS", client.StudyQuery{PatientID: "4711", StudyDateFrom: "20240101"})
	if err != nil {
		fmt.Println(err)
		return
	}
	if found.Truncated {
		fmt.Println("There are more studies than the server's limit; narrow the search.")
		return
	}
	order := client.NewJob{Kind: client.SelectiveTransfer, Source: "PACS", Destination: "Research"}
	for _, s := range found.Items {
		order.Studies = append(
			order.Studies, client.NewStudy{StudyInstanceUID: s.StudyInstanceUID, PatientID: s.PatientID},
		)
	}
	job, err := c.Jobs.Create(ctx, order, "")
	for err == nil && !client.Final(job.Status) {
		select {
		case <-time.After(100 * time.Millisecond):
			job, err = c.Jobs.Get(ctx, job.ID)
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(job.Message)
	// Output: All tasks succeeded.
}

// A list is read page by page, as far as the loop goes.
func ExampleJobs_List() {
	server := exampleServer()
	defer server.Close()

	c, err := client.New(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	for job, err := range c.Jobs.List(context.Background(), client.JobFilter{Status: client.Failure}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(job.ID)
	}
	// Output:
	// 9
	// 4
}

// What failed, and which instances are missing.
func ExampleTasks_List() {
	server := exampleServer()
	defer server.Close()

	c, err := client.New(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	for listed, err := range c.Tasks.List(ctx, 8, client.TaskFilter{Status: client.Failure}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		task, err := c.Tasks.Get(ctx, listed.ID)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, series := range task.Series {
			for _, missing := range series.Missing {
				fmt.Println(missing.SOPInstanceUID, missing.Status, missing.Reason)
			}
		}
	}
	// Output: 1.2.3.4 A700 out of resources
}

// Refusals are sentences with a status.
func ExampleProblem() {
	server := exampleServer()
	defer server.Close()

	c, err := client.New(server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = c.Jobs.Act(context.Background(), 7, client.CancelJob)
	if problem, ok := errors.AsType[*client.Problem](err); ok && problem.Status == http.StatusConflict {
		fmt.Println(problem.Detail)
	}
	// Output: The job is success; cancel is possible only when it is pending or in progress.
}
