// SPDX-License-Identifier: AGPL-3.0-or-later

import { transferColumns } from '../../batch/columns';
import { HelpText } from '../../batch/HelpText';

/** TransferHelp is what there is to say about the page. */
export default function TransferHelp() {
  return (
    <HelpText
      kind="batch_transfer"
      columns={transferColumns}
      does={
        <>
          ADIT sends the studies that a file names from one server to another, or to a folder, and tells you
          when all of them have arrived. The results of a batch query are such a file.
        </>
      }
      ends={
        <>
          <b>Success:</b> every image of the study has arrived. <b>Warning:</b> all that should go has
          arrived, but something was left out or noted, such as an image that the server has withdrawn.{' '}
          <b>Failure:</b> images are missing, or the server has no such study of this patient. A retry sends
          only what is missing.
        </>
      }
    />
  );
}
