// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/adit-go/adit/engine/download"
	"github.com/adit-go/adit/engine/reading"
	"github.com/adit-go/adit/http/problem"
	"github.com/adit-go/adit/http/route"
	"github.com/adit-go/adit/people"
)

// downloadRoutes are the routes of this file.
type downloadRoutes struct{ *API }

func (a *downloadRoutes) register() {
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/servers/{name}/studies/{study}/download", ID: "download-study", Tag: searchTag,
		Timeout: route.Patient, Errors: []int{404, 409, 502}, Zip: true,
		Summary: "Download a study",
		Description: "Streams a study of a DICOM server, or some of its series, as a zip: a file for each instance, " +
			"below folders as a transfer into a folder makes them. It is fetched from the server as fast as you take it; " +
			"nothing is kept. The answer begins with the first instance. What goes wrong later breaks the connection, so " +
			"that no part looks like the whole. With a pseudonym, all of it is de-identified by the profile of the project.",
	}, a.download)
}

// takeWithin is how long a caller may take nothing of a download.
const takeWithin = 5 * time.Minute

func (a *downloadRoutes) download(ctx context.Context, user people.User, in *struct {
	NodeName
	Study             string   `path:"study" maxLength:"64" doc:"Study Instance UID." example:"1.2.826.0.1.3680043.8.498.1"`
	Series            []string `query:"series" maxItems:"1000" doc:"Series Instance UIDs, with commas; the whole study without." example:"[\"1.2.826.0.1.3680043.8.498.2\"]"`
	Pseudonym         string   `query:"pseudonym" minLength:"1" maxLength:"64" doc:"Pseudonym that takes the place of the patient; without one you need the permission to see who patients are." example:"SUBJ-001"`
	TrialProtocolID   string   `query:"trial_protocol_id" minLength:"1" maxLength:"64" doc:"Written as Clinical Trial Protocol ID." example:"TRIAL-7"`
	TrialProtocolName string   `query:"trial_protocol_name" minLength:"1" maxLength:"64" doc:"Written as Clinical Trial Protocol Name." example:"Trial 7"`
	Project           string   `query:"project" minLength:"1" maxLength:"255" doc:"Project whose profile and key de-identify; that of your active group without." example:"stroke"`
},
) (*route.Zip, error) {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx)) // it outlasts this handler
	handled := context.AfterFunc(ctx, cancel)
	d, err := a.engine.Download.Begin(running, user, download.Wish{
		Server: in.Name, Series: in.Series, Wish: reading.Wish{
			Study: in.Study, Pseudonym: in.Pseudonym, Project: in.Project,
			TrialProtocolID: in.TrialProtocolID, TrialProtocolName: in.TrialProtocolName,
		},
	})
	if err != nil || !handled() {
		if err == nil {
			d.Close()
			err = context.Cause(ctx)
		}
		cancel()
		return nil, problem.OfReading(err)
	}
	return &route.Zip{
		ContentType: route.Zipped, ContentDisposition: `attachment; filename="` + d.Name() + `.zip"`,
		CacheControl: "no-store",
		Body: func(rq huma.Context) { //nolint:contextcheck // it is written when the handler has returned
			defer cancel()
			defer d.Close()
			defer context.AfterFunc(rq.Context(), cancel)()
			_, w := humachi.Unwrap(rq)
			_, err := d.WriteTo(&patient{w: w})
			if err == nil {
				return
			}
			if rq.Context().Err() == nil {
				problem.Logger(rq.Context()).InfoContext(rq.Context(), "a download broke off", "reason", err)
			}
			panic(http.ErrAbortHandler)
		},
	}, nil
}

// patient writes to a caller who takes something now and then.
type patient struct{ w http.ResponseWriter }

func (p *patient) Write(b []byte) (int, error) {
	_ = http.NewResponseController(p.w).SetWriteDeadline(time.Now().Add(takeWithin))
	return p.w.Write(b)
}
