"""The queue of trainings, the dispatcher that works through it, and the ways of running a training.

    queue, queue_reader                     one job per experiment, its state and its requesters; queries
    queue_file, queue_schema, queue_statements    jobs.sqlite: connection and transactions, tables, SQL
    fair_scheduling                         the order in which waiting jobs start
    quotas, admin                           limits per person and machine; the teacher's actions
    dispatcher, slot                        claims jobs, starts their workers, records how they ended
    dispatcher_service, dispatcher_process  the one process that does this, as itself and as the app sees it
    runner                                  the interface of the ways of running a training:
    local_runner, ray/                      processes on this machine, tasks on a Ray cluster
    standby                                 workers that wait with TensorFlow loaded
    precision, thread_measurement           what is fast on this machine: bfloat16, how many threads
    foreground                              several trainings from the terminal, without the queue
    devices                                 the GPU or processor on which a job runs
    top_activations_job, top_activations_file    the test images that excite each filter: worker, file
    probe_job                               the accuracy of a linear classifier on each layer: worker, file
    run_computation                         status, start and errors of such workers
    batchnorm_job                           accuracies with re-estimated batch normalization
    eta                                     remaining time, from epochs measured on this machine
    worker_outcome, log_rotation            exit codes and logs of workers

The queue stores requests, run directories (`cnnlab.storage.runs`) store results. A page makes two calls:

    job = Queue().submit(experiment, person)
    ensure_running()
"""
