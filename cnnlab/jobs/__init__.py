"""Who trains what, and when: the queue of trainings, and the dispatcher that works through it.

    queue       jobs.sqlite: what people asked for, one job for an experiment however many ask, and its state
    line        in which order waiting jobs start: one turn a person, round after round
    eta         how long it will take, from seconds per epoch that were measured on this machine
    dispatcher  the one process that claims jobs and sees each of them to its end
    runners     how a worker is started, watched and stopped: here, as a process of this machine
    ray_runner  the same on many machines, as tasks of a Ray cluster
    ray_check   whether each of those machines can train
    tied        a process that dies with the one that started it
    limits      what the machine does not do, and the sentence that says so
    places      which device a training runs on
    disk        which runs may go when there are too many
    desk        what only the teacher may do
    logs        logs that do not grow for ever

The queue knows what is *asked for*, the run directory (`cnnlab.storage.runs`) what is *known*. A page needs two calls:

    job = Queue().submit(experiment, person)
    ensure_running()
"""
