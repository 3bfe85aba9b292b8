"""gunicorn's settings for the gateway; what an operator chooses comes from `GATEWAY_…` (services/gateway/settings.py)."""

from services.gateway.settings import load_or_stop

_settings = load_or_stop()

bind = [str(_settings.proxy_bind), str(_settings.operator_bind)]
workers = _settings.workers
worker_class = "services.gateway.worker.GatewayWorker"
backlog = 2048
timeout = 30
graceful_timeout = _settings.graceful_timeout
# The worker writes its own access log, and answers its own health.
accesslog = None
errorlog = "-"
loglevel = "warning"
# It would lie at one fixed path, which two gateways on one machine would share.
control_socket_disable = True
proc_name = "gatehouse"
