// SPDX-License-Identifier: AGPL-3.0-or-later

package client

// Preferences are how somebody likes user interfaces to be. Nil fields were never set: the interface does as it likes.
type Preferences struct {
	Theme            *string `json:"theme,omitempty" enum:"auto,light,dark" doc:"Colours; auto: as the browser says." example:"dark"`
	Density          *string `json:"density,omitempty" enum:"comfortable,compact" doc:"How high rows of tables are." example:"compact"`
	Rail             *bool   `json:"rail,omitempty" doc:"The side bar is a narrow rail of icons." example:"false"`
	DateFormat       *string `json:"date_format,omitempty" enum:"auto,YYYY-MM-DD,DD.MM.YYYY,DD/MM/YYYY,MM/DD/YYYY" doc:"How dates are written; auto: as the browser says." example:"YYYY-MM-DD"`
	SingleKeys       *bool   `json:"single_keys,omitempty" doc:"Single keys are shortcuts." example:"true"`
	LastSource       *string `json:"last_source,omitempty" maxLength:"64" doc:"Name of the DICOM node that was chosen last as a source; empty: none." example:"PACS"`
	LastDestination  *string `json:"last_destination,omitempty" maxLength:"64" doc:"Name of the DICOM node that was chosen last as a destination; empty: none." example:"research"`
	MailWhenFinished *bool   `json:"mail_when_finished,omitempty" doc:"Whether a form for a new job offers to send a mail when it has ended. What a job does is said with the job." example:"true"`
	Notifications    *bool   `json:"notifications,omitempty" doc:"The browser tells when a job has ended." example:"true"`
}
