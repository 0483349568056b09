"""List the nine modules, in the order of the pipeline."""

from __future__ import annotations

from tradelab.modules.ai_analysis import manifest as ai_analysis
from tradelab.modules.backtesting import manifest as backtesting
from tradelab.modules.copy_trading import manifest as copy_trading
from tradelab.modules.data_provider import manifest as data_provider
from tradelab.modules.execution import manifest as execution
from tradelab.modules.filter_strategy import manifest as filter_strategy
from tradelab.modules.market_data import manifest as market_data
from tradelab.modules.position_monitoring import manifest as position_monitoring
from tradelab.modules.risk_management import manifest as risk_management
from tradelab.spine.manifest import Manifest

MANIFESTS: tuple[Manifest, ...] = (
    data_provider.MANIFEST,
    market_data.MANIFEST,
    filter_strategy.MANIFEST,
    ai_analysis.MANIFEST,
    risk_management.MANIFEST,
    execution.MANIFEST,
    position_monitoring.MANIFEST,
    copy_trading.MANIFEST,
    backtesting.MANIFEST,
)
