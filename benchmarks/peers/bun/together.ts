/**
 * Does together what is asked for within one turn of the event loop; each caller waits until all of it is done, and all
 * fail together.
 */
export function together<Item>(work: (items: Item[]) => void): (item: Item) => Promise<void> {
  let items: Item[] = []
  let finished: Promise<void> | undefined
  const turn = () => new Promise<void>((resolve, reject) => {
    setImmediate(() => {
      const batch = items
      items = []
      finished = undefined
      try {
        work(batch)
        resolve()
      } catch (error) {
        reject(error)
      }
    })
  })
  return item => {
    items.push(item)
    finished ??= turn()
    return finished
  }
}
