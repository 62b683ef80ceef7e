// SPDX-License-Identifier: AGPL-3.0-or-later

import {
  IconBan,
  IconBolt,
  IconBoltOff,
  IconPlayerPause,
  IconPlayerPlay,
  IconRefresh,
  IconRotate2,
  IconShieldCheck,
  IconTrash,
} from '@tabler/icons-react';

import type { JobAction } from './actions';

export const actionIcons: Record<JobAction, typeof IconBan> = {
  verify: IconShieldCheck,
  continue: IconPlayerPlay,
  pause: IconPlayerPause,
  retry: IconRefresh,
  resume: IconPlayerPlay,
  hurry: IconBolt,
  unhurry: IconBoltOff,
  cancel: IconBan,
  restart: IconRotate2,
  delete: IconTrash,
};
