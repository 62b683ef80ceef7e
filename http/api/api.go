// SPDX-License-Identifier: AGPL-3.0-or-later

// Package api serves the REST API under /api/v1. Handlers are thin: decode, call engine or people, convert, write. The
// types of requests and responses are client's; this is the only place that converts between them and engine's. What
// every route is made of is in http/route.
package api

import (
	"strings"
	"unicode"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"

	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/http/route"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/text"
	"github.com/adit-go/adit/people"
)

// API serves what an engine does.
type API struct {
	engine *engine.Engine
	people *people.Service
	routes *route.Set
}

// Register adds the routes of the API to a router.
func Register(router chi.Router, e *engine.Engine, who *people.Service, version string) *API {
	a := &API{engine: e, people: who, routes: route.New(router, who, version, tags)}
	for _, of := range []interface{ register() }{
		&sessionRoutes{a}, &meRoutes{a}, &tokensRoutes{a}, &usersRoutes{a}, &groupsRoutes{a}, &accessRoutes{a},
		&registrationsRoutes{a}, &nodesRoutes{a}, &checksRoutes{a}, &serversRoutes{a}, &serverUseRoutes{a},
		&foldersRoutes{a}, &studiesRoutes{a}, &downloadRoutes{a}, &jobsRoutes{a},
		&batchRoutes{a}, &massRoutes{a}, &recurrencesRoutes{a},
		&failuresRoutes{a}, &tasksRoutes{a}, &scheduleRoutes{a}, &clusterRoutes{a}, &quarantineRoutes{a},
		&callersRoutes{a}, &deidentificationRoutes{a}, &projectsRoutes{a}, &linkageRoutes{a}, &profilesRoutes{a},
		&siteRoutes{a}, &auditRoutes{a}, &useRoutes{a},
	} {
		of.register()
	}
	a.describeLive()
	return a
}

// tags are the parts of the API, in the order in which pages show them.
var tags = []*huma.Tag{
	{Name: jobsTag, Description: "Transfers: one source, one destination, and a task for each study."},
	{Name: tasksTag, Description: "The studies of a job: what arrived, what is missing and why."},
	{Name: searchTag, Description: "Studies that a DICOM server has."},
	{Name: nodesTag, Description: "Servers and folders that transfers read from and send to."},
	{Name: scheduleTag, Description: "When a server may be used, and how many tasks a member of the cluster runs at once."},
	{Name: clusterTag, Description: "The members of the cluster: what each of them does, and whether it may."},
	{Name: projectsTag, Description: "Projects, whose key and profile pseudonymize, and de-identification profiles."},
	{Name: batchTag, Description: "Files of rows: checked, made into batch queries and batch transfers, and what the queries found."},
	{Name: massTag, Description: "What a server has of some days, by filters: counted, transferred, and what became of each series."},
	{Name: recurrencesTag, Description: "Mass transfers and batch queries that run again and again."},
	{Name: linkageTag, Description: "The identities behind the pseudonyms of a project."},
	{Name: quarantineTag, Description: "What arrived at the receiver unasked, and callers that it turned away."},
	{Name: sessionTag, Description: "Logging in and out, and passwords."},
	{Name: meTag, Description: "The account of the caller."},
	{Name: tokensTag, Description: "API tokens, by which programs call."},
	{Name: usersTag, Description: "The accounts of people."},
	{Name: registrationsTag, Description: "Requests for an account, and what staff decides about them."},
	{Name: groupsTag, Description: "Groups, their permissions and members, and the DICOM nodes that they may use."},
	{Name: liveTag, Description: "News of jobs, tasks and servers as they change, and searches with results as they come."},
	{Name: siteTag, Description: "Settings, announcements, mails, figures and the audit log of the installation."},
}

// plainName refuses what a name that people read must not hide.
func plainName(fields map[string]string) error {
	for field, value := range fields {
		if !text.Plain(value) {
			return &refusal.Invalid{
				Field: field, Reason: "it must not contain control characters or other invisible characters",
			}
		}
	}
	return nil
}

// plainText refuses control characters, which no name has and some of which no database keeps.
func plainText(fields map[string]string) error {
	for field, value := range fields {
		if strings.ContainsFunc(value, unicode.IsControl) {
			return &refusal.Invalid{Field: field, Reason: "it must not contain control characters"}
		}
	}
	return nil
}
