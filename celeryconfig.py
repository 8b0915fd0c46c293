"""Celery as plain data: queues, routes, limits, what beat schedules. The broker's URL comes from the settings.

Each setting stands with its reason; figures and sources are in docs/explanation/queue.md.
"""

# What travels. Bytes in MessagePack, never pickle: who can enqueue must not be able to run code (rule 29).
task_serializer = "msgpack"
result_serializer = "json"
accept_content = ["msgpack", "json"]  # json: Celery's own remote control
task_ignore_result = True  # a batch reports to its journal, not to a result backend
task_compression = None  # messages are zstd already (ingestor/queue/message.py)

# One queue a task type; beat's and remote control's tasks find theirs by name.
task_create_missing_queues = True
task_default_queue = "upkeep"
task_routes = {
    "tasks.validate.*": {"queue": "validate"},
    "tasks.enrich.*": {"queue": "enrich"},
    "tasks.write.*": {"queue": "write"},
    "tasks.registry.*": {"queue": "registry"},
    "tasks.history.*": {"queue": "history"},
    "tasks.exports.*": {"queue": "history"},
    "tasks.quality.*": {"queue": "quality"},
    "tasks.quality_hours.*": {"queue": "quality"},
    "tasks.reports.*": {"queue": "quality"},
    "tasks.upkeep.*": {"queue": "upkeep"},
    "tasks.weather.*": {"queue": "weather"},
}
task_default_queue_type = "quorum"  # RabbitMQ: replicated, and poison is counted; Redis knows no queue types
task_create_missing_queue_type = "quorum"  # the same for the queues of the task types
worker_detect_quorum_queues = True

# Losing nothing. The journal is the guarantee; these make it be needed seldom.
task_acks_late = True  # a message goes when its task is done; costs 3%
task_reject_on_worker_lost = False  # True sends a batch that kills its worker round for ever
task_acks_on_failure = True  # the journal sends it again, with its own limits
task_acks_on_timeout = True
worker_prefetch_multiplier = 2  # one in work, one in hand: bounds what is redelivered after a kill
worker_cancel_long_running_tasks_on_connection_loss = False  # everything may run twice; cancelling gains nothing

# Time. A task is one batch or one step of at most 20 s; both limits are below half the visibility time-out (rule 19).
task_soft_time_limit = 25
task_time_limit = 30
broker_transport_options = {
    "visibility_timeout": 70,  # over any countdown (60 s); a dead worker's message comes back then
    "unacked_restore_interval": 5,  # kombu's default sweeps every 100 s
    "health_check_interval": 10,  # a half-open connection is noticed
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "confirm_publish": True,  # RabbitMQ: a publish is done when the broker has it; unknown to Redis
}

# The broker may be away at any time, for any time.
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
broker_heartbeat = 10
task_publish_retry = False  # the caller knows what to do: the journal keeps the batch

# Workers. The supervisor replaces what exits.
worker_consumer = "workers.consumer:StrictConsumer"  # a forged message is refused; Celery's own ends its worker by it
worker_hijack_root_logger = False
worker_redirect_stdouts = False
worker_max_memory_per_child = 400_000  # KiB; a leak ends in a fresh child, not in a full machine
worker_soft_shutdown_timeout = 5  # seconds a cold stop (SIGQUIT) gives the tasks; SIGTERM lets them end, 4 s at most
worker_send_task_events = True  # Flower; a task is a batch, so this is tens of events a second, not thousands
task_send_sent_event = False
task_track_started = False
event_queue_expires = 60

# Beat. RedBeat keeps schedule and lock in the state server: one acts, however many are started.
beat_scheduler = "workers.schedule:Scheduler"  # that goes on when its line to the broker broke
beat_max_loop_interval = 5
redbeat_lock_timeout = 25  # five loops: who dies is followed within that time
redbeat_key_prefix = "ha_ingestor:redbeat:"
redbeat_redis_options: dict[str, object] = {}  # said, as RedBeat 2.5 takes none of the broker's any more, and warns
beat_schedule = {
    "sync-registries": {"task": "tasks.registry.sync_all", "schedule": 900.0},
    # Runs are fetched soon after they were seen; this finds those that took long, or that nobody saw.
    "fetch-traces": {"task": "tasks.registry.fetch_all_traces", "schedule": 300.0, "options": {"expires": 200}},
    # Filled by steps that enqueue themselves; this finds what a killed one left.
    "look-for-gaps": {"task": "tasks.history.look_for_gaps", "schedule": 10.0, "options": {"expires": 30}},
    # Hours that are over are compared by steps that enqueue themselves; an hour is due once an hour.
    "reconcile": {"task": "tasks.quality.reconcile_all", "schedule": 120.0, "options": {"expires": 100}},
    # What was learned stays: a look that is missed is one look fewer.
    "look-at-attributes": {"task": "tasks.quality.look_at_attributes", "schedule": 600.0, "options": {"expires": 500}},
    # A look at whether one is due: a report that is there is not made again.
    "make-reports": {"task": "tasks.reports.make_all", "schedule": 300.0, "options": {"expires": 250}},
    "watch-alerts": {"task": "tasks.reports.watch_alerts", "schedule": 300.0, "options": {"expires": 250}},
    # What failed is tried again at its own time, which is kept with it.
    "deliver": {"task": "tasks.reports.deliver", "schedule": 30.0, "options": {"expires": 25}},
    # An hour is judged once it is over for a while; what was missed is made up for, hour by hour.
    "judge": {"task": "tasks.quality_hours.judge_all", "schedule": 300.0, "options": {"expires": 250}},
    # When each entity was last reported is in no event: one look at all states, gently.
    "look-for-life": {"task": "tasks.quality_hours.look_for_life", "schedule": 300.0, "options": {"expires": 250}},
    # A look at whether it is due: the provider is asked once in weather.cache_minutes, for all workers.
    "refresh-weather": {"task": "tasks.weather.refresh_all", "schedule": 60.0, "options": {"expires": 50}},
    "keep-house": {"task": "tasks.upkeep.keep_house", "schedule": 60.0},
    # Listeners hand in again what it has not brought to the database: one that is late need not be made up for.
    "keep-ledger": {"task": "tasks.upkeep.keep_ledger", "schedule": 10.0, "options": {"expires": 10}},
    # What is not brought in waits, and its workers go on counting.
    "keep-observed": {"task": "tasks.upkeep.keep_observed", "schedule": 15.0, "options": {"expires": 15}},
    # Points that were written without their cause: what was heard of it since. Who waits is looked up for 60 s.
    "settle-causes": {"task": "tasks.upkeep.settle_causes", "schedule": 5.0, "options": {"expires": 5}},
    # Jobs are worked on by steps that enqueue themselves; this finds what a killed one left, and removes what is old.
    "look-for-exports": {"task": "tasks.exports.look_for_exports", "schedule": 30.0, "options": {"expires": 25}},
    # Deletes nothing unless retention.days is set; a step that did not end enqueues the next one itself.
    "retain": {"task": "tasks.upkeep.retain", "schedule": 900.0, "options": {"expires": 800}},
    "trim-observed": {"task": "tasks.upkeep.trim_observed", "schedule": 3600.0},
}
timezone = "UTC"
