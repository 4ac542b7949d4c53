"""What a deployment may change: settings, queues, schedule, and the files that operators mount.

Nothing here imports the engine or the tasks, and importing a module reads no setting.
"""
