@echo off
rem Starts Trellis on Windows: sets up .venv in the clone, then the demo, or the service when a token is configured.
setlocal
cd /d "%~dp0.."
set "VENV_PYTHON=%CD%\.venv\Scripts\python.exe"
if exist "%VENV_PYTHON%" goto install
echo Setting up .venv ... 1>&2
where py >nul 2>nul && (set "FIND=py -3") || (set "FIND=python")
%FIND% -c "import sys; sys.exit(sys.version_info < (3, 11))" >nul 2>nul || (
    echo Trellis needs Python 3.11 or newer: install it from python.org and run this again. 1>&2
    exit /b 1
)
%FIND% -m venv .venv || (
    echo The virtual environment .venv could not be made, see above. 1>&2
    exit /b 1
)
:install
fc /b requirements.lock .venv\installed.lock >nul 2>nul && goto start
echo Installing the dependencies, a minute or two the first time ... 1>&2
"%VENV_PYTHON%" -m pip install -qq --require-hashes --no-deps -r requirements.lock || (
    echo The dependencies could not be installed, see above. Check the network connection and run this again. 1>&2
    exit /b 1
)
copy /y requirements.lock .venv\installed.lock >nul
:start
if defined TRELLIS_TELEGRAM_TOKEN (
    "%VENV_PYTHON%" run.py %*
) else (
    "%VENV_PYTHON%" run.py demo %*
)
exit /b %ERRORLEVEL%
