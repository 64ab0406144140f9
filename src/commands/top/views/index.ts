import type { ViewName } from '../model/model.ts'
import { containersView } from './containers.ts'
import { eventsView } from './events.ts'
import { imagesView } from './images.ts'
import { machinesView } from './machines.ts'
import { servicesView } from './services.ts'
import { stacksView } from './stacks.ts'
import type { View } from './view.ts'

/** The views, keyed by name. */
export const views: Readonly<Record<ViewName, View>> = {
  machines: machinesView,
  containers: containersView,
  images: imagesView,
  stacks: stacksView,
  services: servicesView,
  events: eventsView,
}
